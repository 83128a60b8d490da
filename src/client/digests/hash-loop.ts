import type { parentPort as ParentPort } from 'node:worker_threads';

/** What a hash thread is asked. */
export interface HashOrder {
  /**
   * - `piece`: the digest of these bytes
   * - `step`: these are the next bytes of a digest that is computed step by step; from byte 0 it begins anew
   * - `last-step`: the same, and it ends with them
   */
  readonly kind: 'piece' | 'step' | 'last-step';
  /** An open file. */
  readonly fd: number;
  /** Offsets in bytes; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

export interface HashTask extends HashOrder {
  readonly id: number;
}

export interface HashAnswer {
  readonly id: number;
  /** SHA-256 in lower-case hex; empty after a `step`. */
  readonly digest?: string;
  readonly error?: unknown;
}

/**
 * The whole program of a hash thread: reads from the file, out of the page cache, and answers with digests.
 *
 * It is handed to the thread as text, so it must not use anything from outside of itself. A thread that is started
 * from a TypeScript file loads the type stripper first: 10 MB and 30 ms more for each thread; and a path to the file
 * would be another one in compiled form.
 */
export function hashLoop(): void {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { readSync } = process.getBuiltinModule('node:fs');
  const port: typeof ParentPort = process.getBuiltinModule('node:worker_threads').parentPort;
  // Stays in the core's second-level cache between being read and being hashed.
  const buffer = Buffer.allocUnsafeSlow(256 * 1024);
  let whole = createHash('sha256');

  const feed = (hash: typeof whole, fd: number, start: number, end: number): void => {
    for (let at = start; at < end;) {
      const read = readSync(fd, buffer, 0, Math.min(buffer.length, end - at), at);
      if (read === 0) throw new Error(`the file ends at byte ${at}`);
      hash.update(buffer.subarray(0, read));
      at += read;
    }
  };

  const run = (task: HashTask): string => {
    const { fd, start, end } = task;
    if (task.kind === 'piece') {
      const hash = createHash('sha256');
      feed(hash, fd, start, end);
      return hash.digest('hex');
    }
    if (start === 0) whole = createHash('sha256');
    feed(whole, fd, start, end);
    return task.kind === 'last-step' ? whole.digest('hex') : '';
  };

  port?.on('message', (task: HashTask) => {
    try {
      port.postMessage({ id: task.id, digest: run(task) });
    } catch (error) {
      port.postMessage({ id: task.id, error });
    }
  });
}
