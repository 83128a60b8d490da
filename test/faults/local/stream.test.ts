import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { callbackify } from 'node:util';

import type { DownloadOptions } from '../../../src/client/types.ts';
import { MIB } from '../../../src/core/chunks.ts';
import { contentOf, HONEST, madeUpContent } from '../fault-server.ts';
import { failure, Lab, manifestOf, sha256, slow, until } from '../network/lab.ts';

const SIZE = 12 * MIB + 345;

/** Takes everything, and lets the test say how. */
class Reader extends Writable {
  readonly pieces: Buffer[] = [];
  readonly #pace: (taken: number) => Promise<unknown> | undefined;

  /** @param pace waited for before each piece is taken; told how many bytes were so far */
  constructor(pace: (taken: number) => Promise<unknown> | undefined = () => undefined) {
    super();
    this.#pace = pace;
  }

  get taken(): number {
    return this.pieces.reduce((sum, { length }) => sum + length, 0);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }

  override _write(piece: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    callbackify(() => this.#take(piece))(done);
  }

  async #take(piece: Buffer): Promise<void> {
    await this.#pace(this.taken);
    // A copy: who writes may use the memory again once it was taken.
    this.pieces.push(Buffer.from(piece));
  }
}

const known: readonly [string, (bytes: Uint8Array) => DownloadOptions][] = [
  ['a manifest', (bytes) => ({ manifest: manifestOf(bytes) })],
  ['a digest', (bytes) => ({ sha256: sha256(bytes) })],
  ['nothing', () => ({})],
];

for (const [what, told] of known) {
  test(`a stream gets the bytes in order, knowing ${what}`, async () => {
    await using lab = await Lab.of([slow(32 * MIB), slow(8 * MIB), slow(16 * MIB)], { size: SIZE });
    const output = new Reader();
    const report = await lab.get({ output, ...told(lab.bytes), connections: 4 });
    assert.equal(report.output, '-');
    assert.ok(output.bytes.equals(lab.bytes));
    assert.ok(!output.writableEnded, 'it stays the caller’s');
    for (const event of ['error', 'close', 'drain']) assert.equal(output.listenerCount(event), 0);
  });
}

test('streams that keep what they are given get memory of their own, files and sockets do not mind', async () => {
  await using lab = await Lab.of([{}, {}], { size: SIZE });
  const keeps = new PassThrough({ highWaterMark: 64 * MIB });
  await lab.get({ output: keeps, memory: 8 * MIB });
  keeps.end();
  assert.ok((await buffer(keeps)).equals(lab.bytes));

  const path = join(lab.folder, 'stream');
  const file = createWriteStream(path);
  await lab.get({ output: file, memory: 8 * MIB });
  file.end();
  await once(file, 'close');
  assert.ok(readFileSync(path).equals(lab.bytes));
});

test('a source that lies in one chunk is found before a byte of it is written', async () => {
  let lies = 1;
  await using lab = await Lab.of([slow(16 * MIB)], { size: SIZE });
  const liar = await lab.add(({ range }) =>
    range !== undefined && range.to - range.from > 1 && lies-- > 0
      ? { does: 'flip a bit', at: range.from + 77 }
      : HONEST,
  );
  const output = new Reader();
  const report = await lab.get({ output, manifest: manifestOf(lab.bytes) }, [liar.url, lab.server(1).url]);
  assert.ok(output.bytes.equals(lab.bytes));
  assert.equal(report.sources[0]?.ban?.code, 'HW_BAD_CHUNK');
  assert.equal(report.sources[0]?.badChunks, 1);
});

test('where everybody lies in one chunk, the stream ends before it', async () => {
  const at = 5 * MIB + 77;
  await using lab = await Lab.of(
    [
      { does: 'flip a bit', at },
      { does: 'flip a bit', at },
    ],
    { size: SIZE },
  );
  const output = new Reader();
  const error = await failure(lab.get({ output, manifest: manifestOf(lab.bytes) }));
  assert.equal(error.code, 'HW_VERIFICATION');
  assert.ok(output.taken <= 5 * MIB);
  assert.ok(output.bytes.equals(lab.bytes.subarray(0, output.taken)));
});

test('with a digest alone a lie is told of in the end: what has left cannot be taken back', async () => {
  await using lab = await Lab.of([{ does: 'flip a bit', at: 5 * MIB }], { size: SIZE });
  const output = new Reader();
  const error = await failure(lab.get({ output, sha256: lab.sha256 }));
  assert.equal(error.code, 'HW_VERIFICATION');
  assert.equal(output.taken, SIZE);
});

test('a reader that pauses is waited for, and no source is blamed for it', async () => {
  await using lab = await Lab.of([{}, {}], { size: SIZE });
  let paused = false;
  const output = new Reader((taken) => {
    if (paused || taken < 3 * MIB) return undefined;
    paused = true;
    // Longer than a silent source is given.
    return wait(2_500);
  });
  const report = await lab.get({ output, memory: 8 * MIB, timeout: 1, interval: 0.1 });
  assert.ok(paused);
  assert.ok(output.bytes.equals(lab.bytes));
  assert.deepEqual(
    report.sources.map(({ failures, ban }) => [failures, ban]),
    [
      [0, undefined],
      [0, undefined],
    ],
  );
  assert.equal(
    lab.events.filter(({ event }) => event === 'progress').some((each) => 'rate' in each),
    true,
  );
});

test('no more waits in memory than may, however slow the reader', async () => {
  await using lab = await Lab.of([{}, {}, {}], { size: 24 * MIB });
  let most = 0;
  const sent = (): number => lab.servers.reduce((sum, { counters }) => sum + counters.bytesSent, 0);
  const output = new Reader((taken) => {
    most = Math.max(most, sent() - taken);
    return wait(10);
  });
  await lab.get({ output, memory: 8 * MIB });
  assert.ok(output.bytes.equals(lab.bytes));
  // A chunk of each source may be on the wire or in the system's buffers.
  assert.ok(most <= (8 + 1 + 3 * 2) * MIB, `${most} bytes were sent and not taken yet`);
});

for (const when of ['in the middle', 'at the end']) {
  test(`a reader that goes away ${when} ends it`, async () => {
    await using lab = await Lab.of([slow(32 * MIB), slow(32 * MIB)], { size: SIZE });
    const output = new Reader((taken) => {
      if (taken < (when === 'in the middle' ? 3 * MIB : 12 * MIB)) return undefined;
      return Promise.reject(Object.assign(new Error('gone'), { code: 'EPIPE' }));
    });
    const error = await failure(lab.get({ output }));
    assert.equal(error.code, 'HW_DISK');
    assert.match(error.message, /the output was closed before everything was written/);
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'EPIPE');
  });
}

test('a reader that is destroyed without a word ends it, also before the first byte', async () => {
  await using lab = await Lab.of([slow(32 * MIB)], { size: SIZE });
  const output = new Reader();
  lab.on(
    (event) => event.event === 'progress' && event.bytes > 2 * MIB,
    () => output.destroy(),
  );
  assert.equal((await failure(lab.get({ output, interval: 0.02 }))).code, 'HW_DISK');
  assert.equal((await failure(lab.get({ output }))).code, 'HW_DISK');
});

test('while the reader does not take anything, an abort ends it at once', async () => {
  await using lab = await Lab.of([{}, {}], { size: SIZE });
  const stop = new AbortController();
  const output = new Reader((taken) => (taken >= MIB ? new Promise(() => {}) : undefined));
  const ended = failure(lab.get({ output, memory: 8 * MIB, signal: stop.signal }));
  await until(() => output.taken >= MIB, 'the reader has stopped');
  stop.abort();
  assert.equal((await ended).code, 'HW_INTERRUPTED');
  output.destroy();
});

test('the bytes of the one who disagrees do not come into the stream, where most are heard in time', async () => {
  const other = madeUpContent(99, SIZE).read(0, SIZE);
  await using lab = await Lab.of(
    [{ content: contentOf(other), script: { does: 'answer', delay: 150 } }, slow(16 * MIB), slow(16 * MIB)],
    { size: SIZE },
  );
  const output = new Reader();
  const report = await lab.get({ output });
  assert.ok(output.bytes.equals(lab.bytes));
  assert.equal(report.sources[0]?.ban?.code, 'HW_SOURCES_DISAGREE');
});
