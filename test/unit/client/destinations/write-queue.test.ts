import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WriteQueue as CallbackQueue } from '../../../../src/client/destinations/write-queue.ts';

class WriteQueue {
  readonly #queue: CallbackQueue;

  constructor(disk: Disk) {
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
