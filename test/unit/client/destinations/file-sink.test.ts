import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { FileSink } from '../../../../src/client/destinations/file-sink.ts';
import { PiecePool } from '../../../../src/client/destinations/piece-pool.ts';
import type { ChunkWriter } from '../../../../src/client/destinations/sink.ts';
import { WriteQueue } from '../../../../src/client/destinations/write-queue.ts';
import type { Digester } from '../../../../src/client/digests/digester.ts';
import { ChunkLayout, MIB } from '../../../../src/core/chunks.ts';
import type { Manifest } from '../../../../src/core/manifest.ts';

const SIZE = 2 * MIB + 100;
const layout = new ChunkLayout(SIZE, MIB);
const right = Buffer.alloc(SIZE, 'right');

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const manifest: Manifest = {
  version: 1,
  size: SIZE,
  chunkSize: MIB,
  sha256: sha256(right),
  chunks: [0, 1, 2].map((chunk) => sha256(right.subarray(layout.start(chunk), layout.end(chunk)))),
};

/** A file in memory, on a disk that is as fast, and as full, as the test says. */
class Setting {
  readonly file = Buffer.alloc(SIZE);
  readonly done: number[] = [];
  readonly pool: PiecePool;
  readonly sink: FileSink;
  readonly failures: unknown[] = [];
  pace: () => Promise<void> = () => Promise.resolve();
  /** Writes are over when the call returns. */
  atOnce = false;

  constructor(memory = 16 * MIB) {
    this.pool = new PiecePool(memory);
    const digester: Pick<Digester, 'chunk'> = {
      chunk: async (start, end) => sha256(this.file.subarray(start, end)),
    };
    this.sink = new FileSink({
      layout,
      file: new WriteQueue({
        path: 'part',
        write: (buffers, at) => this.#write(buffers, at),
        writeNow: (buffers, at) => this.atOnce && this.#put(buffers, at),
      }),
      book: { markDone: (chunk) => this.done.push(chunk) > 0, unmark: async () => {} },
      pool: this.pool,
      digester: digester as Digester,
      manifest,
      fail: (error) => this.failures.push(error),
      moved: () => {},
      reopened: () => {},
    });
  }

  async #write(buffers: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    await this.pace();
    this.#put(buffers instanceof Uint8Array ? [buffers] : buffers, position);
  }

  #put(buffers: readonly Uint8Array[], position: number): boolean {
    let at = position;
    for (const bytes of buffers) {
      this.file.set(bytes, at);
      at += bytes.length;
    }
    return true;
  }

  holds(chunk: number): boolean {
    const [start, end] = [layout.start(chunk), layout.end(chunk)];
    return this.file.subarray(start, end).equals(right.subarray(start, end));
  }
}

/** Puts bytes into the writer as a lane does; gives how many it took before it had no memory. */
function fill(writer: ChunkWriter, bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const buffer = writer.buffer();
    if (buffer === undefined) break;
    const length = Math.min(buffer.length, bytes.length - at, 10_000);
    buffer.set(bytes.subarray(at, at + length));
    writer.received(length);
    at += length;
  }
  return at;
}

const never = (): void => assert.fail('nothing was waited for');

test('a chunk goes into the file as it comes, and is judged by what is there', async () => {
  const setting = new Setting();
  for (const chunk of [2, 0, 1]) {
    const writer = setting.sink.open(chunk, false, never);
    fill(writer, right.subarray(layout.start(chunk), layout.end(chunk)));
    assert.equal(await writer.finish(), true);
    await writer.commit();
    setting.sink.done(chunk);
  }
  assert.ok(setting.file.equals(right));
  assert.deepEqual(setting.done, [2, 0, 1]);
});

test('a write that is over at once lets who waits for memory go on', async () => {
  const setting = new Setting(2 * MIB);
  setting.atOnce = true;
  const [first, last] = [setting.sink.open(0, false, never), setting.sink.open(2, false, never)];
  assert.notEqual(first.buffer(), undefined);
  assert.notEqual(last.buffer(), undefined);
  const others: Uint8Array[] = [];
  for (let piece = setting.pool.take(never); piece !== undefined; piece = setting.pool.take(never))
    others.push(piece);
  setting.pool.forget(never);
  let woken = 0;
  const second = setting.sink.open(1, false, () => woken++);
  assert.equal(second.buffer(), undefined, 'all memory is lent');
  fill(last, right.subarray(layout.start(2), layout.end(2)));
  assert.equal(woken, 1);
  assert.ok(setting.holds(2), 'before the call returned');
  for (const piece of others) setting.pool.give(piece);
  for (const [chunk, writer] of [
    [0, first],
    [1, second],
  ] as const)
    assert.equal(fill(writer, right.subarray(layout.start(chunk), layout.end(chunk))), MIB);
  for (const writer of [first, second, last]) assert.equal(await writer.finish(), true);
  assert.ok(setting.file.equals(right));
});

test('a wrong chunk is told of, whoever fetched it', async () => {
  const setting = new Setting();
  for (const hedge of [false, true]) {
    const writer = setting.sink.open(1, hedge, never);
    fill(writer, Buffer.alloc(MIB, 'wrong'));
    assert.equal(await writer.finish(), false);
    await writer.abandon();
  }
});

test('a hedge touches the file only when its rival writes no more', async () => {
  const setting = new Setting();
  const bytes = right.subarray(0, MIB);
  const rival = setting.sink.open(0, false, never);
  fill(rival, Buffer.alloc(MIB - 1, 'wrong'));
  const hedge = setting.sink.open(0, true, never);
  fill(hedge, bytes);
  assert.equal(await hedge.finish(), true);
  const committed = hedge.commit();
  await new Promise(setImmediate);
  assert.ok(!setting.holds(0), 'the rival may still write');
  await rival.abandon();
  await committed;
  assert.ok(setting.holds(0));
});

test('hedges wait for memory, whole or not at all, and give it back however they end', async () => {
  const setting = new Setting(2 * MIB);
  const bytes = right.subarray(0, MIB);
  const first = setting.sink.open(0, true, never);
  assert.equal(fill(first, bytes), MIB);
  let woken = false;
  const second = setting.sink.open(1, true, () => {
    woken = true;
  });
  assert.equal(fill(second, bytes), 0);
  const third = setting.sink.open(2, true, never);
  assert.equal(fill(third, bytes), 0);
  await third.abandon();
  await first.finish();
  await first.commit();
  assert.ok(woken);
  assert.equal(fill(second, right.subarray(MIB, 2 * MIB)), MIB);
  await second.abandon();
  const fourth = setting.sink.open(1, true, never);
  assert.equal(fill(fourth, right.subarray(MIB, 2 * MIB)), MIB);
});

test('a lane waits while the disk is behind, and goes on when it is not', async () => {
  const setting = new Setting(MIB);
  const gate = Promise.withResolvers<void>();
  setting.pace = () => gate.promise;
  const bytes = right.subarray(0, MIB);
  const first = setting.sink.open(0, false, never);
  assert.equal(fill(first, bytes), MIB);
  const filled = Promise.withResolvers<void>();
  let at = 0;
  const second = setting.sink.open(1, false, () => {
    at += fill(second, right.subarray(MIB + at, 2 * MIB));
    if (at === MIB) filled.resolve();
  });
  assert.equal(fill(second, bytes), 0);
  gate.resolve();
  await filled.promise;
  assert.deepEqual(await Promise.all([first.finish(), second.finish()]), [true, true]);
});

test('what the disk did not take is no chunk, and the first error is told at once', async () => {
  const setting = new Setting();
  setting.pace = () => Promise.reject(new Error('full'));
  for (const hedge of [false, true]) {
    const writer = setting.sink.open(0, hedge, never);
    fill(writer, right.subarray(0, MIB));
    const end = hedge ? writer.finish().then(() => writer.commit()) : writer.finish();
    await assert.rejects(end, /full/);
  }
  assert.equal(setting.failures.length, 1);
  assert.deepEqual(setting.done, []);
});
