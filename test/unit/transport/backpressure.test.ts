import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Connection, Request } from '../../../src/transport/connection.ts';
import { openConnection } from '../../../src/transport/open-connection.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, type Misbehaviour, madeUpContent } from '../../faults/fault-server.ts';
import { Collector } from './collector.ts';
import { FewBuffers } from './few-buffers.ts';
import { SELF_SIGNED } from './self-signed.ts';

const SIZE = 5_000_000;
const content = madeUpContent(11, SIZE);

async function readWith(
  misbehaviour: Misbehaviour,
  use: (connection: Connection, request: Request) => Promise<void>,
  secure = false,
): Promise<void> {
  const tls = secure ? { tls: SELF_SIGNED } : {};
  await using server = await FaultServer.start({ content, script: misbehaviour, ...tls });
  const settings = { ...defaultTransportSettings, tls: { ca: SELF_SIGNED.cert } };
  const connection = openConnection(server.url, settings);
  try {
    await use(connection, { method: 'GET', url: server.url, headers: {} });
  } finally {
    connection.close();
  }
}

const ways: Record<string, Misbehaviour> = {
  'of a known length': { does: 'answer' },
  'in chunks': { does: 'chunk', size: 10_007 },
  'that ends by closing': { does: 'end by closing' },
};

for (const secure of [false, true]) {
  describe(secure ? 'backpressure over TLS' : 'backpressure', () => {
    for (const [what, misbehaviour] of Object.entries(ways)) {
      it(`delivers a body ${what} exactly when buffers run out again and again`, async () => {
        await readWith(
          misbehaviour,
          async (connection, request) => {
            for (const [count, size] of [
              [1, 100_000],
              [3, 9_999],
            ] as const) {
              const receiver = new FewBuffers(connection, count, size);
              await connection.send(request, receiver);
              assert.ok(receiver.body.equals(content.read(0, SIZE)));
              assert.ok(receiver.starved > 10, 'buffers did run out');
            }
          },
          secure,
        );
      });

      it(`delivers a body ${what} exactly when it is paused and resumed at any time`, async () => {
        await readWith(
          misbehaviour,
          async (connection, request) => {
            const receiver = new FewBuffers(connection, 4, 50_000);
            const running = new Set(['send']);
            const sent = connection.send(request, receiver).finally(() => running.clear());
            connection.pause();
            for (let i = 0; running.size > 0; i++) {
              if (i % 3 === 0) connection.pause();
              else connection.resume();
              await nextTurn();
            }
            await sent;
            assert.ok(receiver.body.equals(content.read(0, SIZE)));
          },
          secure,
        );
      });
    }
  });
}

describe('a paused connection', () => {
  for (const secure of [false, true]) {
    it(`takes nothing until it is resumed, and then everything${secure ? ', over TLS' : ''}`, async () => {
      await readWith(
        { does: 'answer' },
        async (connection, request) => {
          const paused = Promise.withResolvers<void>();
          const collector = new Collector(10_000);
          const received = collector.received.bind(collector);
          collector.received = (length) => {
            received(length);
            if (collector.pieces !== 20) return;
            connection.pause();
            paused.resolve();
          };
          const sent = connection.send(request, collector);
          await paused.promise;
          const taken = collector.body.length;

          // Long enough for five megabytes to arrive, and to arrive here too if anything read them.
          const other = openConnection(request.url, { ...defaultTransportSettings, tls: { insecure: true } });
          await other.send(request, new Collector());
          other.close();
          assert.equal(collector.body.length, taken);

          connection.resume();
          await sent;
          assert.ok(collector.body.equals(content.read(0, SIZE)));
        },
        secure,
      );
    });
  }

  it('stays paused over requests', async () => {
    await readWith({ does: 'answer' }, async (connection, request) => {
      connection.pause();
      const arrived = Promise.withResolvers<void>();
      const collector = new Collector();
      const head = collector.head.bind(collector);
      collector.head = (value) => {
        head(value);
        arrived.resolve();
      };
      const sent = connection.send(request, collector);
      await arrived.promise;
      await nextTurn();
      assert.equal(collector.body.length, 0);
      connection.resume();
      await sent;
      assert.equal(collector.body.length, SIZE);
    });
  });
});

/** Now and then it has no memory, although it has some again by the next time it is asked, and says so only later. */
class Moody extends Collector {
  readonly #connection: Connection;
  #asked = 0;

  constructor(connection: Connection) {
    super(3000);
    this.#connection = connection;
  }

  override buffer(): Uint8Array | undefined {
    this.#asked++;
    if (this.#asked % 3 !== 0) return super.buffer();
    setImmediate(() => this.#connection.resume());
    return undefined;
  }
}

for (const secure of [false, true]) {
  it(`bytes stay in order when memory is there before it is said${secure ? ', over TLS' : ''}`, async () => {
    await readWith(
      { does: 'answer' },
      async (connection, request) => {
        const receiver = new Moody(connection);
        await connection.send(request, receiver);
        assert.ok(receiver.body.equals(content.read(0, SIZE)));
      },
      secure,
    );
  });
}
