import { readFileSync } from 'node:fs';

import { Command, CommanderError } from 'commander';

import { EXIT } from '../core/errors.ts';
import { usageError } from './option.ts';

interface LazyCommand {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** A command's module is loaded when it is called, so that none pays for another's libraries. */
const COMMANDS: readonly LazyCommand[] = [
  {
    name: 'get',
    summary: 'download one file from many servers at once',
    load: async () => (await import('./get.ts')).getCommand(),
  },
  {
    name: 'serve',
    summary: 'hand out files from this machine',
    load: async () => (await import('./serve.ts')).serveCommand(),
  },
  {
    name: 'information-server',
    summary: 'run an information server of a fleet',
    load: async () => (await import('./information-server.ts')).informationServerCommand(),
  },
];

const EXAMPLES = `
Examples:
  headwater get http://a.example/big.iso http://b.example/big.iso
  headwater get big.iso -a 192.0.2.7 -p 8080,8081,8082,8083
  headwater get http://a.example/src.tar http://b.example/src.tar -o - | tar x
  headwater serve big.iso
  headwater serve ./files -n 4 -p 8080,8081,8082,8083

"headwater COMMAND --help" tells all about one command.
`;

/** Bytes that the program can print, and nothing else of a process: so that it can be run inside a test. */
export interface Output {
  write(text: string): unknown;
}

/**
 * Runs the program with the arguments after its name.
 *
 * @returns the exit status, when the command has not set one of its own.
 * @throws HeadwaterError for whatever ends it other than well; `HW_USAGE` for wrong arguments.
 */
export async function runProgram(argv: readonly string[], stdout: Output, stderr: Output): Promise<void> {
  const program = new Command('headwater');
  const output = { writeOut: (text: string) => stdout.write(text), writeErr: () => undefined };
  program
    .description('Gets a large file out of many servers at once, and hands files out.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput(output);

  let chosen = program;
  const wanted = commandNamed(argv);
  for (const { name, summary, load } of COMMANDS) {
    if (name !== wanted) {
      program.command(name).description(summary);
      continue;
    }
    chosen = await load();
    chosen.exitOverride().configureOutput(output);
    program.addCommand(chosen);
  }

  if (argv.length === 0) {
    stderr.write(program.helpInformation() + EXAMPLES);
    process.exitCode = EXIT.usage;
    return;
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(error, chosen);
  }
}

/** The command that the arguments name, for `headwater help NAME` too. */
function commandNamed(argv: readonly string[]): string | undefined {
  const words = argv.filter((each) => !each.startsWith('-'));
  return words[0] === 'help' ? words[1] : words[0];
}

function version(): string {
  const about: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof about === 'object' && about !== null && 'version' in about ? String(about.version) : '';
}
