import { open } from 'node:fs/promises';

import { ERRORS, HeadwaterError, type ErrorCode } from '../../core/errors.ts';
import type { ChildEnd } from './child.ts';

/** Bytes of the end of a log that are read: its last lines. */
const TAIL = 8_192;

/** Why a process of the fleet has ended, by what it wrote last. */
export async function lastWords(log: string, { name, code, signal }: ChildEnd): Promise<HeadwaterError> {
  const said = (await tailOf(log)).findLast((line) => line.startsWith('headwater: '));
  const match = said === undefined ? null : /^headwater: (.*) \((HW_[A-Z_]+)\)/.exec(said);
  const known =
    match?.[2] !== undefined && Object.hasOwn(ERRORS, match[2]) ? (match[2] as ErrorCode) : undefined;
  if (known !== undefined && match?.[1] !== undefined) {
    return new HeadwaterError(known, `${name}: ${match[1]}`, { details: { name, log } });
  }
  const how = signal === null ? `with status ${code ?? '?'}` : `by ${signal}`;
  return new HeadwaterError('HW_INTERNAL', `${name} ended ${how}; its log is ${log}`, {
    details: { name, log },
  });
}

async function tailOf(path: string): Promise<string[]> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const length = Math.min(TAIL, size);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8').split('\n');
  } catch {
    return [];
  }
}
