import { type Command, type CommanderError, Option } from 'commander';

import { HeadwaterError } from '../core/errors.ts';
import type { Kind } from './option-kinds.ts';

/** An option with an argument that says what it takes when it gets something else, or nothing. */
export class ValueOption extends Option {
  readonly takes: string;

  constructor(flags: string, description: string, takes: string) {
    super(flags, description);
    this.takes = takes;
  }
}

/** The last one given counts. */
export function option<T>(flags: string, description: string, kind: Kind<T>): ValueOption {
  const made = new ValueOption(flags, description, kind.takes);
  return made.argParser((text) => read(made, kind, text));
}

/** Can be given again and again; the values are collected in order. */
export function repeatableOption<T>(flags: string, description: string, kind: Kind<T>): ValueOption {
  const made = new ValueOption(flags, description, kind.takes);
  return made.argParser((text, before: readonly T[] | undefined) => [
    ...(before ?? []),
    read(made, kind, text),
  ]);
}

function read<T>(made: ValueOption, kind: Kind<T>, text: string): T {
  const value = kind.read(text);
  if (value !== undefined) return value;
  throw new HeadwaterError(
    'HW_USAGE',
    `${spelled(made)} takes ${kind.takes}; not "${kind.show?.(text) ?? text}"`,
  );
}

function spelled(made: Option): string {
  return made.long ?? made.short ?? made.flags;
}

/** What commander has to say, in one line, with what the option takes where it misses its argument. */
export function usageError(error: CommanderError, command: Command): HeadwaterError {
  const said = error.message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim();
  const bare =
    error.code === 'commander.optionMissingArgument'
      ? command.options.find((each) => said.includes(`'${each.flags}'`))
      : undefined;
  const message =
    bare instanceof ValueOption
      ? `${spelled(bare)} takes ${bare.takes}; nothing was given`
      : `${said}${said.endsWith('.') ? '' : ';'} see ${commandPath(command)} --help`;
  return new HeadwaterError('HW_USAGE', message, { cause: error });
}

function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}
