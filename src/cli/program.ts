import { Command, CommanderError } from 'commander';

import { EXIT } from '../core/errors.ts';
import { usageError } from './option.ts';
import { programVersion } from './version.ts';

interface LazyCommand {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** A command's module is loaded when it is called, so that none pays for another's libraries. */
const COMMANDS: Readonly<Record<string, readonly LazyCommand[]>> = {
  'Files:': [
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
  ],
  'Files of a fleet:': [
    {
      name: 'put',
      summary: 'publish files: chunks on several servers',
      load: async () => (await import('./put.ts')).putCommand(),
    },
    {
      name: 'ls',
      summary: 'list them',
      load: async () => (await import('./ls.ts')).lsCommand(),
    },
    {
      name: 'info',
      summary: 'tell all about one',
      load: async () => (await import('./info.ts')).infoCommand(),
    },
    {
      name: 'mv',
      summary: 'rename one',
      load: async () => (await import('./mv.ts')).mvCommand(),
    },
    {
      name: 'rm',
      summary: 'delete some',
      load: async () => (await import('./rm.ts')).rmCommand(),
    },
  ],
  'Your account at a fleet:': [
    {
      name: 'login',
      summary: 'log in to a fleet',
      load: async () => (await import('./login.ts')).loginCommand(),
    },
    {
      name: 'logout',
      summary: 'end the session at a fleet',
      load: async () => (await import('./logout.ts')).logoutCommand(),
    },
    {
      name: 'whoami',
      summary: 'say who is logged in, and where',
      load: async () => (await import('./whoami.ts')).whoamiCommand(),
    },
    {
      name: 'keys',
      summary: 'API keys; the signing keys of a fleet',
      load: async () => (await import('./keys.ts')).keysCommand(),
    },
  ],
  'A fleet at work:': [
    {
      name: 'servers',
      summary: 'list the file servers',
      load: async () => (await import('./servers.ts')).serversCommand(),
    },
    {
      name: 'pause',
      summary: 'have file servers send nothing',
      load: async () => (await import('./server-command.ts')).serverCommand('pause'),
    },
    {
      name: 'resume',
      summary: 'have paused or drained file servers go on',
      load: async () => (await import('./server-command.ts')).serverCommand('resume'),
    },
    {
      name: 'drain',
      summary: 'have file servers finish what is under way',
      load: async () => (await import('./server-command.ts')).serverCommand('drain'),
    },
    {
      name: 'stop',
      summary: 'end file servers',
      load: async () => (await import('./server-command.ts')).serverCommand('stop'),
    },
    {
      name: 'rebalance',
      summary: 'move chunks to where they belong',
      load: async () => (await import('./rebalance.ts')).rebalanceCommand(),
    },
    {
      name: 'events',
      summary: 'what happens',
      load: async () => (await import('./events.ts')).eventsCommand(),
    },
    {
      name: 'users',
      summary: 'accounts',
      load: async () => (await import('./users.ts')).usersCommand(),
    },
  ],
  'Running a fleet:': [
    {
      name: 'up',
      summary: 'run a whole fleet on this machine',
      load: async () => (await import('./up.ts')).upCommand(),
    },
    {
      name: 'information-server',
      summary: 'run an information server of a fleet',
      load: async () => (await import('./information-server.ts')).informationServerCommand(),
    },
    {
      name: 'file-server',
      summary: 'run a file server of a fleet',
      load: async () => (await import('./file-server.ts')).fileServerCommand(),
    },
  ],
  'This program:': [
    {
      name: 'completion',
      summary: 'have the shell complete commands and names',
      load: async () => (await import('./completion.ts')).completionCommand(),
    },
  ],
};

const EXAMPLES = `
Examples:
  headwater get http://a.example/big.iso http://b.example/big.iso
  headwater get big.iso -a 192.0.2.7 -p 8080,8081,8082,8083
  headwater get http://a.example/src.tar http://b.example/src.tar -o - | tar x
  headwater serve big.iso
  headwater serve ./files -n 4 -p 8080,8081,8082,8083
  headwater up --folder ./files
  headwater login http://127.0.0.1:8080 && headwater get big.iso
  headwater put big.iso --replicas 2

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
  if (argv[0] === '__complete') return complete(argv.slice(1), stdout);
  const program = new Command('headwater')
    .commandsGroup('This program:')
    .helpCommand('help [command]', 'tell about a command');
  const output = { writeOut: (text: string) => stdout.write(text), writeErr: () => undefined };
  program
    .description(
      'Gets a large file out of many servers at once, hands files out, and runs fleets of servers.',
    )
    .version(programVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput(output);

  let chosen = program;
  const wanted = commandNamed(argv);
  for (const [group, commands] of Object.entries(COMMANDS)) {
    for (const { name, summary, load } of commands) {
      if (name !== wanted) {
        program.command(name).description(summary).helpGroup(group);
        continue;
      }
      chosen = await load();
      for (const each of [chosen, ...chosen.commands]) each.exitOverride().configureOutput(output);
      program.addCommand(chosen.helpGroup(group));
    }
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

/** For the shell, which asks while a command is typed; see `headwater completion`. */
async function complete(words: readonly string[], stdout: Output): Promise<void> {
  const { candidates } = await import('./fleet/complete.ts');
  const all = Object.values(COMMANDS).flat();
  const found = await candidates(words, {
    names: all.map(({ name }) => name),
    load: async (wanted) => all.find(({ name }) => name === wanted)?.load(),
  });
  if (found.length > 0) stdout.write(`${found.join('\n')}\n`);
}

/** The command that the arguments name, for `headwater help NAME` too. */
function commandNamed(argv: readonly string[]): string | undefined {
  const words = argv.filter((each) => !each.startsWith('-'));
  return words[0] === 'help' ? words[1] : words[0];
}
