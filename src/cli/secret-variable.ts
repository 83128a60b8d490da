import { readFileSync } from 'node:fs';

import { HeadwaterError } from '../core/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The value of `NAME`, or of the file that `NAME_FILE` names: how containers are handed secrets. White space at its ends
 * does not belong to it.
 *
 * @throws HeadwaterError `HW_USAGE` when both are there, or the file cannot be read or is empty
 */
export function secretVariable(env: Environment, name: string): string | undefined {
  const plain = given(env[name]);
  const variable = `${name}_FILE`;
  const path = given(env[variable]);
  if (path === undefined) return plain;
  if (plain !== undefined) throw new HeadwaterError('HW_USAGE', `${name} and ${variable} exclude each other`);
  try {
    const text = given(readFileSync(path, 'utf8').trim());
    if (text !== undefined) return text;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const said = `${variable} takes a file; ${JSON.stringify(path)} cannot be read (${code ?? String(cause)})`;
    throw new HeadwaterError('HW_USAGE', said, { cause });
  }
  throw new HeadwaterError('HW_USAGE', `${variable} names an empty file: ${JSON.stringify(path)}`);
}

/** A variable that is set to nothing is as good as none. */
function given(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
