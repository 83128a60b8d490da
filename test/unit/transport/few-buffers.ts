import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Connection, Receiver, ResponseHead } from '../../../src/transport/connection.ts';

/**
 * Lends the same few buffers over and over: what is received is copied, then the memory is filled with a mark, so that
 * anything written to it later, or read from it too early, shows.
 */
export class FewBuffers implements Receiver {
  starved = 0;
  readonly #connection: Connection;
  readonly #free: Uint8Array[];
  readonly #taken: Uint8Array[] = [];
  #lent: Uint8Array | undefined;
  #returned: Uint8Array[] = [];

  constructor(connection: Connection, count: number, size: number) {
    this.#connection = connection;
    this.#free = Array.from({ length: count }, () => new Uint8Array(size));
  }

  get body(): Buffer {
    return Buffer.concat(this.#taken);
  }

  head(head: ResponseHead): void {
    assert.ok(head.status < 300);
  }

  buffer(): Uint8Array | undefined {
    this.#lent = this.#free.pop();
    if (this.#lent === undefined) this.starved++;
    return this.#lent;
  }

  received(length: number): void {
    const lent = this.#lent;
    assert.ok(lent !== undefined && length <= lent.length);
    this.#lent = undefined;
    this.#taken.push(lent.slice(0, length));
    lent.fill(0xee);
    // The memory comes back later, as it does from a disk.
    if (this.#returned.push(lent) === 1) void this.#giveBack();
  }

  async #giveBack(): Promise<void> {
    await nextTurn();
    await nextTurn();
    for (const buffer of this.#returned) {
      assert.ok(
        buffer.every((byte) => byte === 0xee),
        'nothing was read into memory that was given back',
      );
    }
    this.#free.push(...this.#returned);
    this.#returned = [];
    this.#connection.resume();
  }
}
