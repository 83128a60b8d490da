import type { Agent, IncomingMessage } from 'node:http';

import type { ChunkStored } from '../../core/api/uploads.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { arrival } from './arrival.ts';
import type { ChunkDraft } from './chunk-draft.ts';
import type { ChunkStore } from './chunk-store.ts';
import { Forward } from './forward.ts';
import { WRITE_BYTES } from './limits.ts';
import type { Peers } from './peers.ts';

/** A chunk that somebody sends. */
export interface SentChunk {
  readonly body: IncomingMessage;
  readonly digest: string;
  readonly size: number;
  /** Ids of those that it is to be passed on to, one after the other. */
  readonly next: readonly string[];
  /** What it came with. */
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly keepUntil: number;
}

export interface ChunkTakingOptions {
  readonly store: ChunkStore;
  readonly peers: Peers;
  readonly agents: { readonly http: Agent; readonly https: Agent };
  /** This server's id. */
  readonly id: () => string;
}

type Failed = ChunkStored['failed'][number];

/**
 * Takes a chunk in and passes it on while it arrives. What goes wrong with one copy is told and hinders no other; where the
 * next holder fails in the middle, those after it get the chunk from this one's disk.
 *
 * @throws HeadwaterError where nothing was made of it: `HW_BAD_CHUNK`, `HW_INTERRUPTED`, and, where it was not to be passed
 *   on, why there is no copy here
 */
export async function putChunk(options: ChunkTakingOptions, sent: SentChunk): Promise<ChunkStored> {
  const { store, id } = options;
  const { body, digest, size, next, keepUntil } = sent;
  const stored: string[] = [];
  const failed: Failed[] = [];
  const isHere = await store.keep(digest, keepUntil);
  if (isHere) {
    stored.push(id());
    if (next.length === 0) return { stored, failed };
  }
  let draft: ChunkDraft | undefined;
  let ours: unknown;
  try {
    draft = isHere ? undefined : await store.draft(digest, size, keepUntil);
  } catch (error) {
    if (next.length === 0) throw error;
    ours = error;
  }
  const passing = await beginPassing(options, sent, next);
  const takers = [draft, passing.forward].filter((each) => each !== undefined);
  try {
    await arrival(body, takers);
  } catch (error) {
    passing.forward?.drop();
    await draft?.drop();
    throw error;
  }
  const passed = passing.forward?.finish();
  // Looked at below, after our own copy.
  passed?.catch(() => undefined);
  if (draft !== undefined) {
    try {
      await draft.store();
      stored.push(id());
    } catch (error) {
      const isWrong = error instanceof HeadwaterError && error.code === 'HW_BAD_CHUNK';
      if (isWrong) passing.forward?.drop();
      if (isWrong || next.length === 0) throw error;
      ours = error;
    }
  }
  if (ours !== undefined) failed.push(failure(id(), ours));
  await passOn(options, sent, { ...passing, passed, stored, failed });
  return { stored, failed };
}

interface Passing {
  readonly forward: Forward | undefined;
  /** Why there is none. */
  readonly error: unknown;
}

async function beginPassing(
  { peers, agents }: ChunkTakingOptions,
  { digest, size, token }: SentChunk,
  next: readonly string[],
): Promise<Passing> {
  const [first, ...rest] = next;
  if (first === undefined) return { forward: undefined, error: undefined };
  try {
    const peer = await peers.find(first);
    const agent = peer.url.startsWith('https:') ? agents.https : agents.http;
    return { forward: new Forward({ peer, next: rest, digest, size, token, agent }), error: undefined };
  } catch (error) {
    return { forward: undefined, error };
  }
}

/** Sees to it that everyone that could have a copy has one, or is told as failed. */
async function passOn(
  options: ChunkTakingOptions,
  sent: SentChunk,
  begun: Passing & { passed: Promise<ChunkStored> | undefined; stored: string[]; failed: Failed[] },
): Promise<void> {
  const { stored, failed } = begun;
  const weHaveIt = stored.length > 0;
  let { error, passed } = begun;
  let again = true;
  for (let left = sent.next; left.length > 0;) {
    try {
      if (passed === undefined) throw error;
      const answer = await passed;
      stored.push(...answer.stored);
      failed.push(...answer.failed);
      return;
    } catch (cause) {
      options.peers.doubt();
      const isAway = cause instanceof HeadwaterError && cause.code === 'HW_CONNECT';
      // A connection that was kept open may have been closed from the other side just then.
      if (weHaveIt && isAway && again && passed !== undefined) again = false;
      else {
        failed.push(failure(left[0] ?? '', cause));
        left = left.slice(1);
        again = true;
      }
    }
    ({ passed, error } = weHaveIt
      ? await passFromDisk(options, sent, left)
      : { passed: undefined, error: new HeadwaterError('HW_UNAVAILABLE', 'the holder before it failed') });
  }
}

async function passFromDisk(options: ChunkTakingOptions, sent: SentChunk, left: readonly string[]) {
  if (left.length === 0) return { passed: undefined, error: undefined };
  const { forward, error } = await beginPassing(options, sent, left);
  if (forward === undefined) return { passed: undefined, error };
  return { passed: sendFromDisk(options.store, forward, sent), error: undefined };
}

async function sendFromDisk(
  store: ChunkStore,
  forward: Forward,
  { digest }: SentChunk,
): Promise<ChunkStored> {
  const opened = await store.open(digest);
  if (opened === undefined) {
    forward.drop();
    throw new HeadwaterError('HW_NOT_HERE', 'the chunk is not here any more');
  }
  const { handle, size } = opened;
  try {
    for (let position = 0; position < size && forward.failure === undefined;) {
      const block = Buffer.allocUnsafeSlow(Math.min(WRITE_BYTES, size - position));
      const { bytesRead } = await handle.read(block, 0, block.length, position);
      if (bytesRead === 0) break;
      position += bytesRead;
      if (!forward.take(block.subarray(0, bytesRead), () => undefined)) await forward.ready();
    }
    return await forward.finish();
  } catch (error) {
    forward.drop();
    throw error;
  } finally {
    await handle.close();
  }
}

function failure(id: string, cause: unknown): Failed {
  if (cause instanceof HeadwaterError) return { id, code: cause.code, message: cause.message };
  return { id, code: 'HW_INTERNAL', message: 'the server failed at storing this' };
}
