import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WriteQueue as CallbackQueue } from '../../../../src/client/destinations/write-queue.ts';
import { WritePace } from '../../../../src/client/storage/write-pace.ts';

class WriteQueue {
  readonly #queue: CallbackQueue;

  constructor(disk: Disk | PacedDisk) {
    this.#queue = new CallbackQueue(disk);
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.write(bytes, position, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }
}

interface Write {
  readonly position: number;
  readonly sizes: readonly number[];
  readonly end: PromiseWithResolvers<void>;
}

/** A part file whose writes end when the test says so. */
class Disk {
  readonly path = 'part';
  readonly writes: Write[] = [];

  write(buffers: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    const many = buffers instanceof Uint8Array ? [buffers] : buffers;
    const end = Promise.withResolvers<void>();
    this.writes.push({ position, sizes: many.map(({ length }) => length), end });
    return end.promise;
  }

  writeNow(): boolean {
    return false;
  }

  get last(): Write {
    const last = this.writes.at(-1);
    assert.ok(last);
    return last;
  }
}

const bytes = (length: number): Uint8Array => new Uint8Array(length);

test('one write at a time; what follows in the file goes along with it', async () => {
  const disk = new Disk();
  const queue = new WriteQueue(disk);
  const all = [
    queue.write(bytes(10), 0),
    queue.write(bytes(10), 100),
    queue.write(bytes(5), 200),
    queue.write(bytes(7), 110),
    queue.write(bytes(3), 117),
  ];
  assert.deepEqual(disk.last.sizes, [10]);
  disk.last.end.resolve();
  await all[0];
  assert.deepEqual([disk.last.position, disk.last.sizes], [100, [10, 7, 3]]);
  disk.last.end.resolve();
  await Promise.all([all[1], all[3], all[4]]);
  assert.deepEqual([disk.last.position, disk.last.sizes], [200, [5]]);
  disk.last.end.resolve();
  await all[2];
  assert.equal(disk.writes.length, 3);
});

test('a write takes no more than 8 MiB, whatever follows', async () => {
  const disk = new Disk();
  const queue = new WriteQueue(disk);
  const first = queue.write(bytes(1), 0);
  for (let at = 1; at < 20; at++) void queue.write(bytes(1024 * 1024), at * 1024 * 1024);
  disk.last.end.resolve();
  await first;
  assert.equal(disk.last.sizes.length, 8);
});

test('a write larger than that goes alone', async () => {
  const disk = new Disk();
  const queue = new WriteQueue(disk);
  const write = queue.write(bytes(9 * 1024 * 1024), 0);
  assert.deepEqual(disk.last.sizes, [9 * 1024 * 1024]);
  disk.last.end.resolve();
  await write;
});

test('an error is told to those that it concerns, and the others are written', async () => {
  const disk = new Disk();
  const queue = new WriteQueue(disk);
  const one = queue.write(bytes(1), 0);
  const other = queue.write(bytes(1), 50);
  disk.last.end.reject(new Error('full'));
  await assert.rejects(one, /full/);
  disk.last.end.resolve();
  await other;
});

test('where several were written together and not all fit, those that do are written', async () => {
  const disk = new Disk();
  const queue = new WriteQueue(disk);
  const first = queue.write(bytes(1), 0);
  const fits = queue.write(bytes(2), 10);
  const late = queue.write(bytes(3), 12);
  disk.last.end.resolve();
  await first;
  assert.deepEqual(disk.last.sizes, [2, 3]);
  disk.last.end.reject(new Error('full'));
  await new Promise(setImmediate);
  assert.deepEqual([disk.last.position, disk.last.sizes], [10, [2]]);
  disk.last.end.resolve();
  await fits;
  assert.deepEqual([disk.last.position, disk.last.sizes], [12, [3]]);
  disk.last.end.reject(new Error('full'));
  await assert.rejects(late, /full/);
});

/** A disk that takes `milliseconds` for each write on a clock of its own, and what was written to it how. */
class PacedDisk {
  readonly path = 'part';
  readonly writes: string[] = [];
  readonly pace: WritePace;
  milliseconds = 1;
  full = false;
  #now = 0;

  constructor(local = true) {
    this.pace = new WritePace(local, () => this.#now);
  }

  writeNow(_buffers: readonly Uint8Array[], position: number): boolean {
    if (!this.pace.atOnce) return false;
    const written = this.pace.time(() => this.#write());
    this.writes.push(written ? `now ${position}` : `now ${position} failed`);
    return written;
  }

  write(_buffers: Uint8Array | readonly Uint8Array[], position: number): Promise<void> {
    this.writes.push(`pool ${position}`);
    const written = async (): Promise<void> => {
      await new Promise(setImmediate);
      if (!this.#write()) throw new Error('full');
    };
    return this.pace.watch(written());
  }

  #write(): boolean {
    this.#now += this.milliseconds;
    return !this.full;
  }

  wait(milliseconds: number): void {
    this.#now += milliseconds;
  }
}

async function writeEach(queue: WriteQueue, positions: readonly number[]): Promise<void> {
  for (const position of positions) await queue.write(bytes(1), position);
}

test('a disk whose writes are quick is written to at once, after a few that showed it', async () => {
  const disk = new PacedDisk();
  await writeEach(new WriteQueue(disk), [0, 10, 20, 30, 40, 50]);
  assert.deepEqual(disk.writes, ['pool 0', 'pool 10', 'pool 20', 'pool 30', 'now 40', 'now 50']);
});

test('a disk that becomes slow is left to the thread pool for a while', async () => {
  const disk = new PacedDisk();
  const queue = new WriteQueue(disk);
  await writeEach(queue, [0, 1, 2, 3]);
  disk.milliseconds = 100;
  await writeEach(queue, [4, 6, 8]);
  disk.milliseconds = 1;
  await writeEach(queue, [10]);
  disk.wait(2500);
  await writeEach(queue, [12]);
  assert.deepEqual(disk.writes.slice(4), ['now 4', 'pool 6', 'pool 8', 'pool 10', 'now 12']);
});

test('a write that fails at once is made again by the thread pool, which says why', async () => {
  const disk = new PacedDisk();
  const queue = new WriteQueue(disk);
  await writeEach(queue, [0, 1, 2, 3]);
  disk.full = true;
  await assert.rejects(queue.write(bytes(1), 4), /full/);
  assert.deepEqual(disk.writes.slice(4), ['now 4 failed', 'pool 4']);
  disk.full = false;
  await writeEach(queue, [4]);
});

test('what is written while somebody hears of an end waits for its turn', async () => {
  const disk = new PacedDisk();
  const queue = new CallbackQueue(disk);
  await writeEach(new WriteQueue(disk), [0, 1, 2, 3]);
  const order: string[] = [];
  queue.write(bytes(1), 4, () => {
    order.push('first');
    queue.write(bytes(1), 5, () => order.push('second'));
    order.push('first is over');
  });
  assert.deepEqual(order, ['first', 'first is over', 'second']);
});
