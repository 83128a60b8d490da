import type { IncomingMessage } from 'node:http';

import { HeadwaterError } from '../../core/errors.ts';
import { ARRIVAL_STALL } from './limits.ts';

/** Something that takes the bytes of a chunk as they come. */
export interface Taker {
  /** Takes the next bytes and calls `done` when it needs them no more; false: not more before `ready`. */
  take(part: Buffer, done: () => void): boolean;
  ready(): Promise<void>;
}

/**
 * Hands a request's body to all takers, as fast as the slowest of them: while one is full nothing is read. Resolves when the
 * body has come to its end.
 *
 * @throws HeadwaterError `HW_INTERRUPTED` (who sent it is gone), `HW_SILENT`
 */
export function arrival(body: IncomingMessage, takers: readonly Taker[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let held = false;
  let last = performance.now();
  const timer = setInterval(() => {
    if (held || performance.now() - last < ARRIVAL_STALL) return;
    body.destroy();
    end(new HeadwaterError('HW_SILENT', 'the chunk stopped arriving'));
  }, ARRIVAL_STALL / 4).unref();
  const end = (error?: HeadwaterError): void => {
    clearInterval(timer);
    body.off('data', took);
    if (error === undefined) resolve();
    else reject(error);
  };
  const took = (part: Buffer): void => {
    last = performance.now();
    let full: Taker[] | undefined;
    let users = takers.length;
    const done = (): void => {
      if (--users === 0) free(part);
    };
    for (const taker of takers) if (!taker.take(part, done)) (full ??= []).push(taker);
    if (full === undefined) return;
    held = true;
    body.pause();
    void Promise.all(full.map((each) => each.ready())).then(() => {
      held = false;
      last = performance.now();
      body.resume();
    });
  };
  const gone = (): void => end(new HeadwaterError('HW_INTERRUPTED', 'the chunk was not sent to its end'));
  // It went while the place for it was made, and will say nothing of that any more.
  if (body.destroyed) gone();
  body.on('data', took);
  body.once('end', () => end());
  body.once('error', gone);
  body.once('close', () => void (body.complete || gone()));
  return promise;
}

/**
 * Gives memory back at once. Left to the collector, which sees 64 KiB as a few bytes of its own, a gigabyte that arrives costs
 * about 60 full collections: more time than hashing it.
 */
function free({ buffer, length }: Buffer): void {
  // Only memory of its own: small ones share theirs with others.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length && !buffer.detached) buffer.transfer(0);
}
