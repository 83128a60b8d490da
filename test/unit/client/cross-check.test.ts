import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CrossCheck, type Verdict } from '../../../src/client/cross-check.ts';
import { probe } from '../../../src/client/sources/probe.ts';
import { Source, type Introduction } from '../../../src/client/sources/source.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, HONEST, madeUpContent, type Script } from '../../faults/fault-server.ts';

const SIZE = 1024 * 1024;
/** Other bytes everywhere: whatever blocks are compared, they differ. */
const LIAR: Script = { does: 'lie' };

/** Real servers that are held against each other. */
class Bench implements AsyncDisposable {
  readonly servers: FaultServer[] = [];
  readonly sources: Source[] = [];
  readonly #introductions: Introduction[] = [];
  readonly verdicts: { odd: number[]; split: boolean }[] = [];
  readonly stop = new AbortController();
  readonly check: CrossCheck;
  expecting = false;
  #judged: PromiseWithResolvers<void> = Promise.withResolvers();

  private constructor() {
    this.check = new CrossCheck({
      size: SIZE,
      signal: this.stop.signal,
      expecting: () => this.expecting,
      judge: ({ odd, split }: Verdict) => {
        this.verdicts.push({ odd: odd.map(({ id }) => id).sort((one, other) => one - other), split });
        this.#judged.resolve();
        this.#judged = Promise.withResolvers();
      },
      failed: (error) => {
        throw error;
      },
    });
  }

  static async of(...scripts: readonly Script[]): Promise<Bench> {
    const bench = new Bench();
    for (const [at, script] of scripts.entries()) {
      const server = await FaultServer.start({ content: madeUpContent(7, SIZE) });
      const source = new Source(at + 1, server.url, () => ({}), defaultTransportSettings);
      bench.servers.push(server);
      bench.sources.push(source);
      bench.#introductions.push(await probe(source, bench.stop.signal));
      server.behave(script);
    }
    return bench;
  }

  source(id: number): Source {
    const source = this.sources[id - 1];
    assert.ok(source !== undefined);
    return source;
  }

  /** Resolves when these have answered or failed to. */
  async join(...ids: readonly number[]): Promise<void> {
    await Promise.all(
      ids.map((id) => {
        const said = this.#introductions[id - 1];
        assert.ok(said !== undefined);
        return this.check.join(this.source(id), said, false);
      }),
    );
  }

  agreeing(): number[] {
    return this.sources.filter((source) => this.check.agrees(source)).map(({ id }) => id);
  }

  get judged(): Promise<void> {
    return this.#judged.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    for (const source of this.sources) source.close();
    await Promise.all(this.servers.map((server) => server.close()));
  }
}

describe('sources that are held against each other', () => {
  test('agree where all send the same, and nobody is judged', async () => {
    await using bench = await Bench.of(HONEST, HONEST, HONEST);
    await bench.join(1, 2, 3);
    bench.check.close();
    assert.deepEqual(bench.verdicts, []);
    assert.deepEqual(bench.agreeing(), [1, 2, 3]);
  });

  test('name the odd one out, once', async () => {
    await using bench = await Bench.of(HONEST, LIAR, HONEST);
    await bench.join(1, 2, 3);
    bench.check.close();
    assert.deepEqual(bench.verdicts, [{ odd: [2], split: false }]);
    assert.deepEqual(bench.agreeing(), [1, 3]);
  });

  test('wait for who may yet tip the balance', async () => {
    await using bench = await Bench.of(HONEST, LIAR, HONEST);
    bench.expecting = true;
    await bench.join(1, 2);
    assert.deepEqual(bench.verdicts, []);
    await bench.join(3);
    assert.deepEqual(bench.verdicts, [{ odd: [2], split: false }]);
  });

  test('are split where no majority says the same and nobody else comes', async () => {
    await using bench = await Bench.of(HONEST, LIAR);
    await bench.join(1, 2);
    assert.deepEqual(bench.verdicts, [{ odd: [1, 2], split: true }]);
  });

  test('are split at the end, although somebody was expected who never came', async () => {
    await using bench = await Bench.of(HONEST, LIAR);
    bench.expecting = true;
    await bench.join(1, 2);
    assert.deepEqual(bench.verdicts, []);
    bench.check.close();
    assert.deepEqual(bench.verdicts, [{ odd: [1, 2], split: true }]);
  });

  test('are judged while one of them is still silent, if it cannot change the verdict', async () => {
    await using bench = await Bench.of(HONEST, HONEST, HONEST, LIAR, { does: 'fall silent' });
    const judged = bench.judged;
    void bench.join(1, 2, 3, 4, 5).catch(() => undefined);
    await judged;
    assert.deepEqual(bench.verdicts, [{ odd: [4], split: false }]);
    assert.equal(bench.check.agrees(bench.source(5)), false);
  });

  test('are not odd for being away', async () => {
    await using bench = await Bench.of(HONEST, { does: 'refuse', status: 503 }, HONEST);
    await bench.join(1, 2, 3);
    bench.check.close();
    assert.deepEqual(bench.verdicts, []);
    assert.deepEqual(bench.agreeing(), [1, 3]);
  });

  test('hold up nobody for longer than they may', async () => {
    await using bench = await Bench.of(HONEST, { does: 'fall silent' });
    void bench.join(1, 2).catch(() => undefined);
    await bench.check.settled(50);
    assert.equal(bench.check.agrees(bench.source(2)), false);
  });

  test('are asked nothing once it is over', async () => {
    await using bench = await Bench.of(HONEST, LIAR);
    await bench.join(1);
    bench.check.close();
    const before = bench.servers[1]?.counters.requests;
    await bench.join(2);
    assert.equal(bench.servers[1]?.counters.requests, before);
    assert.deepEqual(bench.verdicts, []);
  });

  test('are judged by nobody once the download was stopped', async () => {
    await using bench = await Bench.of(HONEST, LIAR, { does: 'fall silent' });
    const asked = bench.join(1, 2, 3);
    bench.stop.abort();
    await asked;
    bench.check.close();
    assert.deepEqual(bench.verdicts, []);
  });
});
