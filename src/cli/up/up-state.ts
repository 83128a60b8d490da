import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { HeadwaterError } from '../../core/errors.ts';

/** What an `up` leaves in its data folder, so that the next one is as it was. */
export interface UpState {
  readonly address: string;
  readonly servers: readonly { readonly name: string; readonly zone: string; readonly port: number }[];
  readonly informationServers: readonly { readonly port: number }[];
  /** Absolute paths. */
  readonly folders: readonly string[];
  /** Bytes a second of each server. */
  readonly limit?: number;
  readonly replicas?: number;
  /** Process ids of what runs; empty when it was stopped. */
  readonly running: readonly number[];
}

const FILE = 'up.json';

/** @throws HeadwaterError `HW_DISK` */
export async function readState(data: string): Promise<UpState | undefined> {
  const path = join(data, FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new HeadwaterError('HW_DISK', `${path} cannot be read: ${message}`, { cause });
  }
  const state = parse(text);
  if (state !== undefined) return state;
  throw new HeadwaterError(
    'HW_DISK',
    `${path} does not say what a fleet is made of; without it, the next start chooses anew`,
  );
}

/** @throws HeadwaterError `HW_DISK` */
export async function writeState(data: string, state: UpState): Promise<void> {
  const path = join(data, FILE);
  try {
    {
      await using file = await open(`${path}.new`, 'w', 0o600);
      await file.writeFile(`${JSON.stringify(state, undefined, 2)}\n`);
      await file.sync();
    }
    await rename(`${path}.new`, path);
  } catch (cause) {
    throw new HeadwaterError('HW_DISK', `cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
}

function parse(text: string): UpState | undefined {
  try {
    const value = JSON.parse(text) as Partial<UpState> | null;
    const lists = [value?.servers, value?.informationServers, value?.folders, value?.running];
    return lists.every(Array.isArray) && typeof value?.address === 'string' ? (value as UpState) : undefined;
  } catch {
    return undefined;
  }
}

/** Milliseconds that processes of an `up` that was killed get to notice it and end. */
const FORMER_TIME = 15_000;
const LOOK_EVERY = 100;

/** Waits for the processes of an earlier `up` that was killed: they end when they notice, and have its ports until then. */
export async function awaitFormer({ running }: UpState): Promise<void> {
  const end = performance.now() + FORMER_TIME;
  for (const pid of running)
    while (performance.now() < end && (await isHeadwater(pid))) await sleep(LOOK_EVERY);
}

/** A process id alone says little: it may have been given to something else. */
async function isHeadwater(pid: number): Promise<boolean> {
  try {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    return words.some((each) => each === 'information-server' || each === 'file-server');
  } catch {
    return false;
  }
}
