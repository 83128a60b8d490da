import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';

import { MIB } from '../../../src/core/chunks.ts';
import { HONEST, type Misbehaviour, type Script } from '../fault-server.ts';
import { bans, failure, Lab, of, slow } from './lab.ts';

/** Flips one bit of the first chunk that it is asked for, and no other. */
function flipsOnce(bytesPerSecond: number): Script {
  let at: number | undefined;
  return ({ range }) => {
    const probed = range === undefined || range.to - range.from < MIB;
    if (!probed) at ??= range.from + 12_345;
    return { ...(at === undefined ? HONEST : { does: 'flip a bit', at }), bytesPerSecond };
  };
}

const LIE = { does: 'lie' } as const;

/** At this many bytes a second for each request. */
function paced(misbehaviour: Misbehaviour, bytesPerSecond: number): Misbehaviour {
  return { ...misbehaviour, bytesPerSecond };
}

/** Chunks of a megabyte that requests to a server asked for, in order. */
function chunksAsked(lab: Lab, id: number): Set<number> {
  const chunks = new Set<number>();
  for (const { from, to } of lab.server(id).counters.ranges) {
    for (let chunk = Math.floor(from / MIB); chunk * MIB < to; chunk++) chunks.add(chunk);
  }
  return chunks;
}

describe('with a manifest', { concurrency: 16 }, () => {
  test('one flipped bit in one chunk is found, its sender banned, and the chunk fetched elsewhere', async () => {
    await using lab = await Lab.of([slow(4 * MIB), flipsOnce(8 * MIB), slow(4 * MIB)], { size: 8 * MIB });
    const report = await lab.get({ manifest: lab.manifest });
    lab.hasTheFile();
    assert.equal(report.verified, 'chunks');
    assert.deepEqual(bans(report), { 2: 'HW_BAD_CHUNK' });
    assert.equal(of(report, 2).badChunks, 1);
    assert.match(of(report, 2).ban?.message ?? '', /sent wrong bytes \(chunk \d\)/);
    assert.equal(of(report, 1).badChunks + of(report, 3).badChunks, 0);
    assert.ok(report.wastedBytes >= MIB, 'the wrong chunk came in vain');
    assert.equal(
      report.sources.reduce((sum, { bytes }) => sum + bytes, 0),
      lab.size,
    );
  });

  test('a liar among three gives nothing, however fast it is', async () => {
    await using lab = await Lab.of([slow(3 * MIB), slow(3 * MIB), LIE]);
    const report = await lab.get({ manifest: lab.manifest });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 3: 'HW_BAD_CHUNK' });
    assert.equal(of(report, 3).bytes, 0);
  });

  test('one that sends the bytes beside those it states is found', async () => {
    const shifts: Script = ({ range }) =>
      range?.to === 1
        ? HONEST
        : { does: 'shift the range', from: 1, to: 1, stated: false, bytesPerSecond: 8 * MIB };
    await using lab = await Lab.of([slow(4 * MIB), shifts], { size: 8 * MIB });
    const report = await lab.get({ manifest: lab.manifest });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 2: 'HW_BAD_CHUNK' });
    assert.equal(of(report, 2).bytes, 0);
  });

  test('when every source lies, it says so and keeps nothing', async () => {
    await using lab = await Lab.of([LIE, LIE]);
    const error = await failure(lab.get({ manifest: lab.manifest }));
    assert.equal(error.code, 'HW_VERIFICATION');
    for (const { port } of lab.servers) assert.ok(error.message.includes(String(port)));
    assert.deepEqual(lab.left, []);
  });

  test('into a stream no wrong byte gets', async () => {
    await using lab = await Lab.of([flipsOnce(8 * MIB), slow(8 * MIB)]);
    const output = new PassThrough();
    const received = output.toArray() as Promise<Buffer[]>;
    const report = await lab.get({ manifest: lab.manifest, output });
    output.end();
    assert.ok(Buffer.concat(await received).equals(lab.bytes));
    assert.deepEqual(bans(report), { 1: 'HW_BAD_CHUNK' });
  });
});

describe('with only the digest of the whole', { concurrency: 16 }, () => {
  test('the one that flipped a bit is found afterwards, and named', async () => {
    await using lab = await Lab.of([slow(3 * MIB), flipsOnce(12 * MIB), slow(3 * MIB)]);
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    assert.equal(report.verified, 'sha256');
    assert.deepEqual(bans(report), { 2: 'HW_BAD_CHUNK' });
    assert.equal(of(report, 2).badChunks, 1);
    assert.ok(lab.notices.some((notice) => notice.includes('does not match its SHA-256')));
  });

  for (const [id, name] of [
    [1, 'first'],
    [2, 'second'],
  ] as const) {
    test(`the liar of two is found, also when it is the ${name} and the fastest`, async () => {
      const setups: Script[] = [slow(2 * MIB), slow(2 * MIB)];
      setups[id - 1] = paced(LIE, 16 * MIB);
      await using lab = await Lab.of(setups);
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.deepEqual(bans(report), { [id]: 'HW_BAD_CHUNK' });
      assert.ok(of(report, id).badChunks > 0);
      assert.equal(of(report, id).bytes, 0);
      assert.equal(of(report, 3 - id).bytes, lab.size);
      assert.ok(report.wastedBytes >= of(report, id).badChunks * MIB);
    });
  }

  // The limit has stopped every reader when the last byte comes; what is fetched again must be read all the same.
  test('the liar is found under a rate limit', async () => {
    await using lab = await Lab.of([LIE, HONEST], { size: 3 * MIB });
    const report = await lab.get({ sha256: lab.sha256, limit: 4 * MIB });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_BAD_CHUNK' });
    assert.equal(of(report, 2).failures, 0);
  });

  test('two liars of four are found, though they tell the same lie', async () => {
    await using lab = await Lab.of(
      [LIE, HONEST, LIE, HONEST].map((each) => paced(each, 4 * MIB)),
      {
        size: 8 * MIB,
      },
    );
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_BAD_CHUNK', 3: 'HW_BAD_CHUNK' });
  });

  test('three liars of four are found', async () => {
    const liars = [{ does: 'lie', from: MIB } as const, LIE, { does: 'lie', to: 3 * MIB } as const];
    await using lab = await Lab.of(
      [...liars, HONEST].map((each) => paced(each, 4 * MIB)),
      {
        size: 8 * MIB,
      },
    );
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    const named = Object.keys(bans(report)).map(Number);
    // Who gave only bytes that are right did no harm; who gave others is named.
    assert.ok(!named.includes(4));
    for (const id of named) assert.ok(of(report, id).badChunks > 0);
  });

  test('bytes that an earlier run took from a liar are fetched again', async () => {
    await using lab = await Lab.of([paced(LIE, 4 * MIB)]);
    const stop = new AbortController();
    lab.on(
      (event) => event.event === 'progress' && event.bytes > MIB,
      () => stop.abort(),
    );
    const error = await failure(lab.get({ sha256: lab.sha256, interval: 0.02, signal: stop.signal }));
    assert.equal(error.code, 'HW_INTERRUPTED');
    assert.deepEqual(lab.left, ['out.bin.hw-journal', 'out.bin.hw-part']);

    lab.server(1).behave(HONEST);
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    assert.deepEqual(bans(report), {});
    assert.equal(report.resumedBytes, 0);
    assert.equal(of(report, 1).bytes, lab.size);
    assert.ok(lab.notices.some((notice) => notice.includes('an earlier run')));
  });

  test('bytes of an earlier run and a liar beside an honest source: the liar alone is named', async () => {
    await using lab = await Lab.of([slow(4 * MIB), paced(LIE, 4 * MIB)]);
    const stop = new AbortController();
    lab.on(
      (event) => event.event === 'progress' && event.bytes > MIB,
      () => stop.abort(),
    );
    const [honest = ''] = lab.urls;
    await failure(lab.get({ sha256: lab.sha256, interval: 0.02, signal: stop.signal }, [honest]));
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 2: 'HW_BAD_CHUNK' });
  });

  test('a liar that is alone ends the download', async () => {
    await using lab = await Lab.of([LIE]);
    const error = await failure(lab.get({ sha256: lab.sha256 }));
    assert.equal(error.code, 'HW_VERIFICATION');
    assert.ok(error.message.includes(lab.sha256));
  });

  test('when every source lies, all were asked and it says so', async () => {
    await using lab = await Lab.of([LIE, LIE, { does: 'flip a bit', at: 5 }]);
    const error = await failure(lab.get({ sha256: lab.sha256 }));
    assert.equal(error.code, 'HW_VERIFICATION');
    for (const id of [1, 2, 3]) assert.deepEqual(chunksAsked(lab, id), new Set([0, 1, 2, 3]));
  });

  test('a source that is gone by then holds up nothing', async () => {
    await using lab = await Lab.of([paced(LIE, 2 * MIB), slow(2 * MIB), slow(2 * MIB)]);
    lab.on(
      (event) => event.event === 'progress' && event.bytes > 2 * MIB,
      () => void lab.server(2).leave(),
    );
    const report = await lab.get({ sha256: lab.sha256, interval: 0.02 });
    lab.hasTheFile();
    assert.equal(bans(report)[1], 'HW_BAD_CHUNK');
    assert.equal(of(report, 2).badChunks, 0);
    assert.equal(of(report, 3).badChunks, 0);
  });

  test('when the only honest source is gone by then, it is waited for', async () => {
    await using lab = await Lab.of([paced(LIE, 4 * MIB), slow(MIB)]);
    lab.on(
      (event) => event.event === 'progress' && event.bytes > 2 * MIB,
      () => void lab.server(2).leave(),
    );
    lab.on(
      (event) => event.event === 'notice' && event.message.includes('waiting for'),
      () => void lab.server(2).comeBack(),
    );
    const report = await lab.get({ sha256: lab.sha256, interval: 0.02 });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_BAD_CHUNK' });
    assert.equal(of(report, 2).bytes, lab.size);
  });

  test('out of a stream nothing can be taken back, so a lie ends the download', async () => {
    await using lab = await Lab.of([LIE, HONEST]);
    const output = new PassThrough();
    output.resume();
    const error = await failure(lab.get({ sha256: lab.sha256, output }));
    assert.equal(error.code, 'HW_VERIFICATION');
  });
});
