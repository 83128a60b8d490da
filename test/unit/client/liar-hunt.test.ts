import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { findLiars } from '../../../src/client/liar-hunt.ts';
import { Source } from '../../../src/client/sources/source.ts';
import { Tally } from '../../../src/client/tally.ts';
import { Bitmap } from '../../../src/core/bitmap.ts';
import { ChunkLayout } from '../../../src/core/chunks.ts';
import { HeadwaterError } from '../../../src/core/errors.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';

/** A download of a few chunks that has come to its end, with what each source gives for each chunk. */
class Case {
  readonly done: Bitmap;
  readonly tally: Tally;
  readonly sources: readonly Source[];
  readonly named = new Map<number, number>();
  /** What is in the file. */
  readonly here: string[];
  /** Sources that are banned, and that are away until they are waited for. */
  readonly banned = new Set<number>();
  readonly away = new Set<number>();
  waitedFor: readonly number[] = [];
  readonly #gives: readonly (readonly string[])[];
  readonly #right: readonly string[];
  readonly #pick: (most: number) => number;

  /** @param gives what source 1, 2 … gives, chunk by chunk; `givers`: who gave what is here (0: an earlier run, wrongly) */
  constructor(
    right: readonly string[],
    gives: readonly (readonly string[])[],
    givers: readonly number[],
    pick: (most: number) => number,
  ) {
    const layout = new ChunkLayout(right.length, 1);
    this.#right = right;
    this.#gives = gives;
    this.#pick = pick;
    this.done = new Bitmap(right.length);
    this.tally = new Tally(layout);
    this.sources = gives.map(
      (_, at) =>
        new Source(at + 1, new URL(`http://s${at + 1}.example/`), () => ({}), defaultTransportSettings),
    );
    this.here = right.map((_, chunk) => this.#from(givers[chunk] ?? 0, chunk));
    for (const [chunk, giver] of givers.entries()) {
      this.done.add(chunk);
      this.tally.gave(giver, chunk);
    }
  }

  #from(giver: number, chunk: number): string {
    return giver === 0 ? 'left' : (this.#gives[giver - 1]?.[chunk] ?? '');
  }

  get isRight(): boolean {
    return this.here.join() === this.#right.join();
  }

  hunt(): Promise<void> {
    return findLiars({
      sha256: digest(this.#right.join()),
      done: this.done,
      tally: this.tally,
      content: {
        read: () => Promise.reject(new Error('not asked for')),
        chunkDigest: async (chunk) => {
          assert.ok(this.done.has(chunk), 'a chunk is read that is not there');
          return digest(this.here[chunk] ?? '');
        },
      },
      sources: () => this.sources.filter(({ id }) => !this.banned.has(id)),
      doubt: () => 0,
      reopen: async (chunks) => {
        for (const chunk of chunks) assert.ok(this.done.delete(chunk));
      },
      fetch: async (from, patience) => {
        if (patience === 'until banned') for (const { id } of from) this.away.delete(id);
        const there = from.filter(({ id }) => !this.away.has(id) && !this.banned.has(id));
        if (there.length === 0) return false;
        for (let chunk = 0; chunk < this.done.length; chunk++) {
          if (this.done.has(chunk)) continue;
          const giver = there[this.#pick(there.length)] ?? there[0];
          assert.ok(giver !== undefined);
          this.here[chunk] = this.#from(giver.id, chunk);
          this.tally.gave(giver.id, chunk);
          this.done.add(chunk);
        }
        return true;
      },
      digest: async () => {
        assert.equal(this.done.count, this.done.length, 'a digest of what is not whole');
        return digest(this.here.join());
      },
      named: (giver, chunks) => this.named.set(giver, chunks),
      waiting: (away) => {
        this.waitedFor = away.map(({ id }) => id);
      },
    });
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

const first = (): number => 0;
const RIGHT = ['a', 'b', 'c', 'd'];
const LIES = ['a', 'x', 'c', 'x'];

test('the one that lied is named, with how many chunks', async () => {
  const hunt = new Case(RIGHT, [RIGHT, LIES], [1, 2, 1, 2], first);
  await hunt.hunt();
  assert.ok(hunt.isRight);
  assert.deepEqual(hunt.named, new Map([[2, 2]]));
});

test('an earlier run is named as what it is', async () => {
  const hunt = new Case(RIGHT, [RIGHT], [0, 0, 1, 1], first);
  await hunt.hunt();
  assert.ok(hunt.isRight);
  assert.deepEqual(hunt.named, new Map([[Tally.earlier, 2]]));
});

test('a source that is away is passed over, and its word is not needed', async () => {
  const hunt = new Case(RIGHT, [LIES, RIGHT, RIGHT], [1, 1, 2, 3], first);
  hunt.away.add(2);
  await hunt.hunt();
  assert.ok(hunt.isRight);
  assert.deepEqual([...hunt.named.keys()], [1]);
  assert.deepEqual(hunt.waitedFor, []);
});

test('when the only honest source is away, it is waited for', async () => {
  const hunt = new Case(RIGHT, [LIES, RIGHT], [1, 1, 1, 1], first);
  hunt.away.add(2);
  await hunt.hunt();
  assert.ok(hunt.isRight);
  assert.deepEqual(hunt.waitedFor, [2]);
  assert.deepEqual(hunt.named, new Map([[1, 2]]));
});

test('a banned source is not asked, and what it gave is fetched again', async () => {
  const hunt = new Case(RIGHT, [LIES, RIGHT], [1, 1, 2, 2], first);
  hunt.banned.add(1);
  await hunt.hunt();
  assert.ok(hunt.isRight);
  assert.deepEqual(hunt.tally.givers(), new Set([2]));
});

test('when nobody is right, it says who was asked', async () => {
  const hunt = new Case(RIGHT, [LIES, LIES], [1, 1, 2, 2], first);
  await assert.rejects(hunt.hunt(), (error) => {
    assert.ok(error instanceof HeadwaterError);
    assert.equal(error.code, 'HW_VERIFICATION');
    assert.match(error.message, /s1\.example.*s2\.example/);
    return true;
  });
  assert.equal(hunt.named.size, 0);
});

test('as long as one source is honest, the file comes right, and only liars are named', async () => {
  const scene = fc.record({
    lies: fc.array(fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), { minLength: 1, maxLength: 4 }),
    honest: fc.nat(4),
    givers: fc.array(fc.nat(5), { minLength: 5, maxLength: 5 }),
    away: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
    picks: fc.infiniteStream(fc.nat(100)),
    /** Liars tell the same lies, or each its own. */
    together: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(scene, async ({ lies, honest, givers, away, picks, together }) => {
      const right = ['a', 'b', 'c', 'd', 'e'];
      const gives = lies.map((own, at) =>
        right.map((chunk, i) => (own[i] === true ? `${chunk} lie ${together ? '' : at}` : chunk)),
      );
      const at = Math.min(honest, gives.length);
      gives.splice(at, 0, right);
      const from = givers.map((giver) => Math.min(giver, gives.length));
      const hunt = new Case(right, gives, from, (most) => (picks.next().value ?? 0) % most);
      for (const [i, is] of away.entries()) if (is && i < gives.length) hunt.away.add(i + 1);
      const wrong = new Set(from.filter((_, chunk) => hunt.here[chunk] !== right[chunk]));
      if (hunt.isRight) return;
      await hunt.hunt();
      assert.ok(hunt.isRight);
      for (const giver of hunt.named.keys()) {
        assert.ok(giver === 0 || gives[giver - 1]?.join() !== right.join(), `${giver} is honest`);
      }
      for (const giver of wrong) assert.ok(hunt.named.has(giver), `${giver} gave wrong bytes`);
    }),
    { numRuns: 2_000 },
  );
});
