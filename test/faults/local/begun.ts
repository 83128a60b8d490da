import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import type { DownloadOptions } from '../../../src/client/types.ts';
import { HONEST } from '../fault-server.ts';
import { failure, type Lab, slow } from '../network/lab.ts';

const MIB = 1024 * 1024;

/** Downloads about half of the lab's file, stops, and leaves the servers honest and fast. Gives what is kept. */
export async function begun(
  lab: Lab,
  options: DownloadOptions = {},
  urls: readonly URL[] = lab.urls,
): Promise<Kept> {
  const stop = new AbortController();
  for (const server of lab.servers) server.behave(slow(16 * MIB));
  const ended = lab.get(
    {
      ...options,
      interval: 0.02,
      signal: stop.signal,
      onEvent: (event) => {
        if (event.event === 'progress' && event.bytes >= lab.size / 2) stop.abort();
      },
    },
    urls,
  );
  assert.equal((await failure(ended)).code, 'HW_INTERRUPTED');
  for (const server of lab.servers) server.behave(HONEST);
  for (const server of lab.servers) server.forget();
  return new Kept(lab);
}

/** The finished file has these bytes, and nothing else is left. */
export function hasBytes(lab: Lab, bytes: Uint8Array): void {
  assert.deepEqual(lab.left, ['out.bin']);
  assert.ok(readFileSync(lab.output).equals(bytes), 'the file has other bytes');
}

/** The part file and the journal as they were at a moment. */
export class Kept {
  readonly #paths: readonly string[];
  readonly #bytes: readonly Buffer[];

  constructor({ output }: Lab) {
    this.#paths = [`${output}.hw-part`, `${output}.hw-journal`];
    this.#bytes = this.#paths.map((path) => readFileSync(path));
  }

  /** Nothing of them has changed. */
  isUntouched(): void {
    for (const [at, path] of this.#paths.entries())
      assert.ok(this.#bytes[at]?.equals(readFileSync(path)), `${path} is as it was`);
  }
}
