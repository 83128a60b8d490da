import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Connection, Receiver } from '../../../src/transport/connection.ts';
import { openConnection } from '../../../src/transport/open-connection.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, madeUpContent } from '../../faults/fault-server.ts';
import { SELF_SIGNED } from './self-signed.ts';
import { SmallProxy } from './small-proxy.ts';

/** Several times what the two systems between server and client keep for one connection. */
const SIZE = 64 * 1024 * 1024;
const content = madeUpContent(29, SIZE);

/** Counts what it gets, and stops after `most` bytes in one of two ways. */
class Stopping implements Receiver {
  taken = 0;
  readonly stopped = Promise.withResolvers<void>();
  readonly #connection: Connection;
  readonly #buffer = new Uint8Array(100_000);
  #most: number;
  readonly #how: 'pause' | 'no memory';

  constructor(connection: Connection, most: number, how: 'pause' | 'no memory') {
    this.#connection = connection;
    this.#most = most;
    this.#how = how;
  }

  goOn(): void {
    this.#most = Infinity;
    this.#connection.resume();
  }

  head(): void {}

  buffer(): Uint8Array | undefined {
    if (this.taken < this.#most || this.#how === 'pause') return this.#buffer;
    this.stopped.resolve();
    return undefined;
  }

  received(length: number): void {
    this.taken += length;
    if (this.taken < this.#most || this.#how === 'no memory') return;
    this.#connection.pause();
    this.stopped.resolve();
  }
}

describe('a server is held back while the receiver takes nothing', () => {
  for (const way of ['directly', 'over TLS', 'through a proxy'] as const) {
    for (const how of ['pause', 'no memory'] as const) {
      it(`${way}, by ${how}`, async () => {
        await using server = await FaultServer.start({
          content,
          ...(way === 'over TLS' && { tls: SELF_SIGNED }),
        });
        await using proxy = await SmallProxy.start();
        const settings = {
          ...defaultTransportSettings,
          tls: { ca: SELF_SIGNED.cert },
          proxyFor: () => (way === 'through a proxy' ? proxy.url : undefined),
        };
        const [held, free] = [openConnection(server.url, settings), openConnection(server.url, settings)];
        const request = { method: 'GET', url: server.url, headers: {} } as const;

        const stopping = new Stopping(held, 1_000_000, how);
        const sent = held.send(request, stopping);
        await stopping.stopped.promise;
        const { taken } = stopping;
        await free.send(request, new Stopping(free, Infinity, 'pause'));
        const sentToHeld = server.counters.bytesSent - SIZE;
        assert.ok(sentToHeld < SIZE * 0.7, `${sentToHeld} bytes were sent to who took ${taken}`);
        assert.equal(stopping.taken, taken);

        stopping.goOn();
        await sent;
        assert.equal(stopping.taken, SIZE);
        held.close();
        free.close();
      });
    }
  }
});
