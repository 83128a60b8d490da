import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';

import { MIB } from '../../../src/core/chunks.ts';
import { contentOf, HONEST, madeUpContent, type Misbehaviour, type Script } from '../fault-server.ts';
import { bans, became, failure, Lab, of, slow } from './lab.ts';

const LIE = { does: 'lie' } as const;

/** Holds a file of another size. */
const OTHER: Misbehaviour = { does: 'hold another size', size: 5 * MIB };

/** Honest, and the last to say who it is. */
const answersLast: Script = ({ range }) => (range?.to === 1 ? { ...HONEST, delay: 400 } : HONEST);

/** These answer nothing before a megabyte has come from others. */
function answerLate(lab: Lab, ids: readonly number[]): void {
  for (const id of ids) lab.server(id).freeze();
  lab.on(
    (event) => event.event === 'progress' && event.bytes > MIB,
    () => {
      for (const id of ids) lab.server(id).thaw();
    },
  );
}

/** These answer nothing before the download has begun with others: however busy the machine, they are not the first. */
function answerAfterStart(lab: Lab, ids: readonly number[]): void {
  for (const id of ids) lab.server(id).freeze();
  lab.on(
    ({ event }) => event === 'start',
    () => {
      for (const id of ids) lab.server(id).thaw();
    },
  );
}

/** Honest once told so, away before. */
function lateServer(): { script: Script; appear: () => void } {
  let there = false;
  return {
    script: () => (there ? HONEST : { does: 'refuse', status: 503, retryAfter: 0 }),
    appear() {
      there = true;
    },
  };
}

describe('sources that say different sizes, with no digest', { concurrency: 8 }, () => {
  test('the odd one out of three is dropped and named', async () => {
    await using lab = await Lab.of([HONEST, OTHER, HONEST]);
    const report = await lab.get();
    lab.hasTheFile();
    assert.equal(report.verified, 'none');
    assert.deepEqual(bans(report), { 2: 'HW_SOURCES_DISAGREE' });
    assert.match(of(report, 2).ban?.message ?? '', /says 5242880 bytes, most others say 4194304/);
    assert.equal(lab.server(2).counters.requests, 1);
  });

  test('one against one is refused, and nothing is begun', async () => {
    await using lab = await Lab.of([HONEST, OTHER]);
    const error = await failure(lab.get());
    assert.equal(error.code, 'HW_SOURCES_DISAGREE');
    assert.match(error.message, /4194304 bytes.*5242880 bytes.*--sha256 or --manifest/);
    assert.deepEqual(lab.left, []);
  });

  test('two against two is refused', async () => {
    await using lab = await Lab.of([HONEST, OTHER, OTHER, HONEST]);
    assert.equal((await failure(lab.get())).code, 'HW_SOURCES_DISAGREE');
    assert.deepEqual(lab.left, []);
  });

  test('two against two is refused, also when one of them answers last', async () => {
    await using lab = await Lab.of([slow(2 * MIB), OTHER, slow(2 * MIB), OTHER]);
    lab.server(4).freeze();
    lab.on(
      ({ event }) => event === 'start',
      () => lab.server(4).thaw(),
    );
    const error = await failure(lab.get());
    assert.equal(error.code, 'HW_SOURCES_DISAGREE');
    assert.ok(lab.saidOf(2).some(became(2, 'banned', 'HW_SOURCES_DISAGREE')), 'it was outvoted at first');
  });

  test('who was outvoted first is back when the others turn out to be few', async () => {
    await using lab = await Lab.of(
      [OTHER, HONEST, OTHER, HONEST, HONEST].map((each) => ({ ...each, bytesPerSecond: 2 * MIB })),
    );
    for (const id of [4, 5]) lab.server(id).freeze();
    lab.on(
      ({ event }) => event === 'start',
      () => [4, 5].forEach((id) => lab.server(id).thaw()),
    );
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_SOURCES_DISAGREE', 3: 'HW_SOURCES_DISAGREE' });
    assert.ok(of(report, 2).bytes > 0);
  });

  test('one that joins late with another size makes it one against one', async () => {
    const late = lateServer();
    await using lab = await Lab.of([slow(2 * MIB), late.script], { size: 4 * MIB });
    const other = await lab.add({
      content: contentOf(madeUpContent(2, 3 * MIB).read(0, 3 * MIB)),
      script: late.script,
    });
    lab.on(({ event }) => event === 'start', late.appear);
    const error = await failure(lab.get({}, [lab.server(1).url, other.url]));
    assert.equal(error.code, 'HW_SOURCES_DISAGREE');
  });

  test('when late ones outvote the first, it begins anew with theirs', async () => {
    await using lab = await Lab.of([{ ...OTHER, bytesPerSecond: 2 * MIB }, HONEST, HONEST]);
    answerLate(lab, [2, 3]);
    const report = await lab.get({ interval: 0.02 });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_SOURCES_DISAGREE' });
    assert.equal(of(report, 1).bytes, 0);
    assert.equal(report.resumedBytes, 0);
    assert.ok(report.wastedBytes >= MIB);
  });

  test('a late one that is outvoted is dropped, and the download goes on', async () => {
    const late = lateServer();
    await using lab = await Lab.of([slow(2 * MIB), slow(2 * MIB)]);
    const other = await lab.add({
      content: contentOf(madeUpContent(2, 3 * MIB).read(0, 3 * MIB)),
      script: late.script,
    });
    lab.on(({ event }) => event === 'start', late.appear);
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 3: 'HW_SOURCES_DISAGREE' });
    assert.equal(other.counters.seen.filter(({ range }) => range !== undefined && range.to > 1).length, 0);
  });
});

describe('sources that say different sizes, with a digest', { concurrency: 8 }, () => {
  test('the group that was begun with is tried first, and the next one when it does not verify', async () => {
    await using lab = await Lab.of([OTHER, HONEST, OTHER]);
    answerAfterStart(lab, [2]);
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    assert.equal(report.verified, 'sha256');
    assert.deepEqual(bans(report), { 1: 'HW_BAD_CHUNK', 3: 'HW_BAD_CHUNK' });
    assert.equal(of(report, 2).bytes, lab.size);
    assert.ok(report.wastedBytes >= 5 * MIB);
  });

  test('the smaller group is not asked for more than its first byte when the largest verifies', async () => {
    await using lab = await Lab.of([OTHER, HONEST, HONEST]);
    answerAfterStart(lab, [1]);
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    assert.deepEqual(bans(report), {});
    assert.equal(lab.server(1).counters.requests, 1);
    assert.equal(of(report, 1).bytes, 0);
  });

  test('when no group verifies, it says so', async () => {
    await using lab = await Lab.of([OTHER, LIE]);
    const error = await failure(lab.get({ sha256: lab.sha256 }));
    assert.equal(error.code, 'HW_VERIFICATION');
  });

  test('what an earlier run left tells which size is right', async () => {
    await using lab = await Lab.of([slow(4 * MIB), OTHER, OTHER]);
    const [first = ''] = lab.urls;
    const stop = new AbortController();
    lab.on(
      (event) => event.event === 'progress' && event.bytes > MIB,
      () => stop.abort(),
    );
    await failure(lab.get({ sha256: lab.sha256, interval: 0.05, signal: stop.signal }, [first]));
    lab.server(1).behave(answersLast);
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    assert.ok(report.resumedBytes >= MIB);
    assert.deepEqual(bans(report), { 2: 'HW_SOURCES_DISAGREE', 3: 'HW_SOURCES_DISAGREE' });
  });

  test('a group that is gone for good makes room for the next', async () => {
    const gone: Script = ({ range }) =>
      range?.to === 1 ? OTHER : ({ does: 'refuse', status: 404 } as const);
    await using lab = await Lab.of([gone, answersLast, gone]);
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_NOT_FOUND', 3: 'HW_NOT_FOUND' });
  });

  test('with a manifest, who says another size is not asked for anything', async () => {
    await using lab = await Lab.of([OTHER, HONEST, OTHER]);
    const report = await lab.get({ manifest: lab.manifest });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_SOURCES_DISAGREE', 3: 'HW_SOURCES_DISAGREE' });
    assert.equal(lab.server(1).counters.requests, 1);
  });

  test('who answers before the manifest is read is held against it too', async () => {
    await using lab = await Lab.of([OTHER, HONEST, OTHER]);
    const body = JSON.stringify(lab.manifest);
    const desk = await lab.add({ does: 'send', status: 200, body, delay: 300 });
    const report = await lab.get({ manifest: desk.urlOf('file.manifest') }, lab.urls.slice(0, 3));
    lab.hasTheFile();
    assert.equal(report.verified, 'chunks');
    assert.deepEqual(bans(report), { 1: 'HW_SOURCES_DISAGREE', 3: 'HW_SOURCES_DISAGREE' });
  });
});

describe('sources of one size and different bytes, with no digest', { concurrency: 8 }, () => {
  test('the odd one out of three is dropped and named, and nothing of it stays', async () => {
    await using lab = await Lab.of([slow(3 * MIB), { ...LIE, bytesPerSecond: 3 * MIB }, slow(3 * MIB)]);
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 2: 'HW_SOURCES_DISAGREE' });
    assert.match(of(report, 2).ban?.message ?? '', /sends other bytes than most/);
    assert.equal(of(report, 2).bytes, 0);
    assert.ok(lab.notices.some((notice) => notice.includes('nothing was verified')));
  });

  test('one against one is refused', async () => {
    await using lab = await Lab.of([slow(2 * MIB), { ...LIE, bytesPerSecond: 2 * MIB }]);
    const error = await failure(lab.get());
    assert.equal(error.code, 'HW_SOURCES_DISAGREE');
    assert.match(error.message, /send different bytes, and no majority/);
    assert.deepEqual(lab.left, [], 'a mixture is kept');
  });

  test('one against one waits for a third that has not answered yet', async () => {
    await using lab = await Lab.of([slow(2 * MIB), { ...LIE, bytesPerSecond: 2 * MIB }]);
    const third = await lab.add(({ range }) => (range?.to === 1 ? { ...HONEST, delay: 700 } : HONEST));
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 2: 'HW_SOURCES_DISAGREE' });
    assert.ok(third.counters.requests > 1);
  });

  test('a late one that differs is dropped', async () => {
    const late = lateServer();
    await using lab = await Lab.of([slow(2 * MIB), slow(2 * MIB)], { size: 6 * MIB });
    const other = await lab.add({
      content: contentOf(madeUpContent(2, lab.size).read(0, lab.size)),
      script: late.script,
    });
    lab.on(({ event }) => event === 'start', late.appear);
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 3: 'HW_SOURCES_DISAGREE' });
    assert.ok(other.counters.requests > 1);
  });

  test('late ones that agree against the first make it fetch anew what that gave', async () => {
    await using lab = await Lab.of([{ ...LIE, bytesPerSecond: 2 * MIB }, HONEST, HONEST]);
    answerLate(lab, [2, 3]);
    const report = await lab.get({ interval: 0.02 });
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_SOURCES_DISAGREE' });
    assert.ok(report.wastedBytes >= MIB);
  });

  test('what a source gave that died before it was checked is held against the others', async () => {
    // It gives its first part, and neither the blocks nor anything else.
    let parts = 0;
    const dying: Script = ({ range }) => {
      if (range?.to === 1) return HONEST;
      if (range !== undefined && range.to - range.from >= MIB && parts++ === 0) return LIE;
      return { does: 'reset on request' };
    };
    await using lab = await Lab.of([dying, slow(3 * MIB), slow(3 * MIB)]);
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_SOURCES_DISAGREE' });
    assert.equal(of(report, 1).bytes, 0);
  });

  test('into a stream, the odd one is found before a byte of it is taken', async () => {
    await using lab = await Lab.of([LIE, HONEST, HONEST]);
    const output = new PassThrough();
    const received = output.toArray() as Promise<Buffer[]>;
    const report = await lab.get({ output });
    output.end();
    assert.ok(Buffer.concat(await received).equals(lab.bytes));
    assert.deepEqual(bans(report), { 1: 'HW_SOURCES_DISAGREE' });
    assert.equal(of(report, 1).bytes, 0);
  });

  test('a source that leaves the question for blocks open holds up the end for seconds only', async () => {
    const silent: Script = ({ range }) =>
      range !== undefined && range.to - range.from > 1 && range.to - range.from < MIB
        ? { does: 'fall silent' }
        : HONEST;
    await using lab = await Lab.of([HONEST, silent]);
    const began = performance.now();
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), {});
    assert.ok(performance.now() - began < 15_000);
  });
});

describe('digests that sources state', { concurrency: 8 }, () => {
  /** States this SHA-256 of its file. */
  const stating = (hex: string, bytes: Uint8Array): Script => {
    const digest = `sha-256=:${Buffer.from(hex, 'hex').toString('base64')}:`;
    return ({ range }) => {
      const { from, to } = range ?? { from: 0, to: bytes.length };
      return {
        does: 'send',
        status: 206,
        headers: {
          'Repr-Digest': digest,
          'Content-Range': `bytes ${from}-${to - 1}/${bytes.length}`,
        },
        body: bytes.subarray(from, to),
      };
    };
  };

  test('a digest that the sources state is verified', async () => {
    await using lab = await Lab.of([]);
    await lab.add(stating(lab.sha256, lab.bytes));
    await lab.add(stating(lab.sha256, lab.bytes));
    const report = await lab.get();
    lab.hasTheFile();
    assert.equal(report.verified, 'sha256');
    assert.equal(report.sha256, lab.sha256);
  });

  test('one that states another digest than most is dropped', async () => {
    await using lab = await Lab.of([]);
    await lab.add(stating(lab.sha256, lab.bytes));
    await lab.add(stating('ab'.repeat(32), lab.bytes));
    await lab.add(stating(lab.sha256, lab.bytes));
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 2: 'HW_SOURCES_DISAGREE' });
  });

  test('one that states another digest than the caller knows is dropped at once', async () => {
    await using lab = await Lab.of([HONEST]);
    await lab.add(stating('ab'.repeat(32), lab.bytes));
    lab.server(1).freeze();
    lab.on(became(2, 'banned', 'HW_SOURCES_DISAGREE'), () => lab.server(1).thaw());
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    assert.equal(lab.server(2).counters.requests, 1);
    assert.deepEqual(bans(report), { 2: 'HW_SOURCES_DISAGREE' });
  });

  test('one against one is refused', async () => {
    await using lab = await Lab.of([]);
    await lab.add(stating(lab.sha256, lab.bytes));
    await lab.add(stating('ab'.repeat(32), lab.bytes));
    const error = await failure(lab.get());
    assert.equal(error.code, 'HW_SOURCES_DISAGREE');
  });

  test('a digest that one source alone states does not outweigh what most send', async () => {
    await using lab = await Lab.of([slow(2 * MIB), slow(2 * MIB)]);
    const other = madeUpContent(2, lab.size).read(0, lab.size);
    await lab.add(stating('ab'.repeat(32), other));
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 3: 'HW_SOURCES_DISAGREE' });
    assert.equal(report.verified, 'none');
  });
});
