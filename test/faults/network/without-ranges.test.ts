import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';

import { MIB } from '../../../src/core/chunks.ts';
import { first, HONEST, type Misbehaviour, type Script } from '../fault-server.ts';
import { bans, became, failure, Lab, of, sha256, slow } from './lab.ts';

const WHOLE = { does: 'ignore ranges' } as const;

/** Answers 200 with the whole file, whose end only the end of the connection tells. */
function untold(lab: Lab): Misbehaviour {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n';
  const bytes = Buffer.concat([Buffer.from(head), lab.bytes]);
  return { does: 'send raw', bytes, ending: 'close' };
}

/** The same in the chunked transfer coding, so that an end is told from a break. */
function chunked(bytes: Uint8Array, upTo = bytes.length): Misbehaviour {
  const parts = [Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')];
  for (let at = 0; at < upTo; at += 100_000) {
    const part = bytes.subarray(at, Math.min(upTo, at + 100_000));
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), Buffer.from(part), Buffer.from('\r\n'));
  }
  if (upTo === bytes.length) parts.push(Buffer.from('0\r\n\r\n'));
  return { does: 'send raw', bytes: Buffer.concat(parts), ending: upTo === bytes.length ? 'stay' : 'close' };
}

/** The whole, with its length, and an end within. */
function breaksAt(lab: Lab, at: number): Misbehaviour {
  const head = `HTTP/1.1 200 OK\r\nETag: "size ${lab.size}"\r\nContent-Length: ${lab.size}\r\n\r\n`;
  return {
    does: 'send raw',
    bytes: Buffer.concat([Buffer.from(head), lab.bytes.subarray(0, at)]),
    ending: 'close',
  };
}

// Most of them wait: side by side they take a third of the time.
describe('sources that answer no ranges', { concurrency: true }, () => {
  describe('a source that answers no ranges', { concurrency: 8 }, () => {
    test('is not used beside one that does', async () => {
      await using lab = await Lab.of([WHOLE, slow(8 * MIB)]);
      const report = await lab.get();
      lab.hasTheFile();
      assert.deepEqual(bans(report), {});
      assert.equal(of(report, 1).bytes, 0);
      assert.equal(lab.server(1).counters.requests, 1);
      assert.deepEqual(
        lab.saidOf(1).map(({ state, code }) => [state, code]),
        [['waiting', 'HW_NO_RANGES']],
      );
    });

    test('is used alone, whole, in one request', async () => {
      await using lab = await Lab.of([WHOLE]);
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.equal(report.verified, 'sha256');
      assert.equal(lab.server(1).counters.requests, 2);
      assert.equal(of(report, 1).bytes, lab.size);
      assert.equal(report.wastedBytes, 0);
    });

    test('is verified by chunk where there is a manifest', async () => {
      await using lab = await Lab.of([WHOLE]);
      const report = await lab.get({ manifest: lab.manifest });
      lab.hasTheFile();
      assert.equal(report.verified, 'chunks');
    });

    test('is one of two: only one of them is used', async () => {
      await using lab = await Lab.of([WHOLE, WHOLE]);
      const report = await lab.get();
      lab.hasTheFile();
      assert.equal(lab.server(2).counters.requests, 1);
      assert.equal(of(report, 1).bytes, lab.size);
    });

    test('takes over when the other one is banned, and what came before is kept', async () => {
      let parts = 0;
      const gives2: Script = ({ range }) => {
        if (range?.to === 1 || parts++ < 2) return { ...HONEST, bytesPerSecond: 8 * MIB };
        return { does: 'refuse', status: 404 };
      };
      await using lab = await Lab.of([gives2, WHOLE], { size: 8 * MIB });
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.deepEqual(bans(report), { 1: 'HW_NOT_FOUND' });
      assert.ok(of(report, 1).bytes >= MIB);
      assert.equal(of(report, 1).bytes + of(report, 2).bytes, lab.size);
      assert.equal(report.resumedBytes, 0);
    });

    test('takes over when the other one stays away', async () => {
      await using lab = await Lab.of([slow(MIB), WHOLE]);
      lab.on(
        (event) => event.event === 'progress' && event.bytes > 1.5 * MIB,
        () => void lab.server(1).leave(),
      );
      const report = await lab.get({ sha256: lab.sha256, interval: 0.05 });
      lab.hasTheFile();
      assert.ok(of(report, 1).bytes >= MIB);
      assert.equal(of(report, 1).bytes + of(report, 2).bytes, lab.size);
    });

    test('makes room for one that answers ranges and comes late', async () => {
      await using lab = await Lab.of([{ ...WHOLE, bytesPerSecond: 2 * MIB }, HONEST]);
      lab.server(2).freeze();
      lab.on(
        (event) => event.event === 'progress' && event.bytes > 1.5 * MIB,
        () => lab.server(2).thaw(),
      );
      const report = await lab.get({ sha256: lab.sha256, interval: 0.05 });
      lab.hasTheFile();
      assert.ok(of(report, 1).bytes >= MIB);
      assert.ok(of(report, 2).bytes >= MIB);
      assert.equal(of(report, 1).bytes + of(report, 2).bytes, lab.size);
    });

    test('that stops answering ranges while it is alone is asked for the whole', async () => {
      await using lab = await Lab.of([({ range }) => (range?.to === 1 ? HONEST : WHOLE)]);
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.deepEqual(bans(report), {});
      assert.equal(of(report, 1).bytes, lab.size);
    });

    test('goes into a stream', async () => {
      await using lab = await Lab.of([WHOLE]);
      const output = new PassThrough();
      const received = output.toArray() as Promise<Buffer[]>;
      await lab.get({ output });
      output.end();
      assert.equal(sha256(Buffer.concat(await received)), lab.sha256);
    });

    test('begins anew where it broke off', async () => {
      await using lab = await Lab.of([]);
      await lab.add(({ number }) => (number === 2 ? breaksAt(lab, 2.5 * MIB) : WHOLE));
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.equal(of(report, 1).failures, 1);
    });
  });

  describe('a source that does not say how long the file is', { concurrency: 8 }, () => {
    test('is used alone, until it closes the connection', async () => {
      await using lab = await Lab.of([]);
      await lab.add(untold(lab));
      const report = await lab.get();
      lab.hasTheFile();
      assert.equal(report.size, lab.size);
      assert.equal(report.verified, 'none');
      assert.equal(of(report, 1).bytes, lab.size);
      assert.equal(report.sha256, lab.sha256);
    });

    test('is used alone, in the chunked coding', async () => {
      await using lab = await Lab.of([]);
      await lab.add(chunked(lab.bytes));
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.equal(report.verified, 'sha256');
    });

    test('may hold a file without a byte', async () => {
      await using lab = await Lab.of([], { size: 0 });
      await lab.add(untold(lab));
      await lab.get();
      lab.hasTheFile();
    });

    test('is not used beside one that does', async () => {
      await using lab = await Lab.of([HONEST]);
      const other = await lab.add(untold(lab));
      await lab.get();
      lab.hasTheFile();
      assert.equal(other.counters.requests, 1);
    });

    test('is like any other where a manifest says it', async () => {
      await using lab = await Lab.of([]);
      await lab.add(untold(lab));
      const report = await lab.get({ manifest: lab.manifest });
      lab.hasTheFile();
      assert.equal(report.verified, 'chunks');
    });

    test('begins anew where it broke off, and nothing of before stays', async () => {
      await using lab = await Lab.of([]);
      const server = await lab.add(HONEST);
      server.behave((request) =>
        chunked(lab.bytes, request.headers.has('range') || request.number > 2 ? undefined : 1_500_000),
      );
      const report = await lab.get();
      lab.hasTheFile();
      assert.equal(of(report, 1).failures, 1);
      assert.ok(report.wastedBytes >= 1_000_000);
      assert.equal(server.counters.requests, 3);
    });

    test('that breaks off cannot begin anew in a stream', async () => {
      await using lab = await Lab.of([]);
      await lab.add((request) => chunked(lab.bytes, request.headers.has('range') ? undefined : 1_500_000));
      const output = new PassThrough();
      output.resume();
      const error = await failure(lab.get({ output }));
      assert.equal(error.code, 'HW_SOURCES_LOST');
    });

    test('goes into a stream', async () => {
      await using lab = await Lab.of([]);
      await lab.add(chunked(lab.bytes));
      const output = new PassThrough();
      const received = output.toArray() as Promise<Buffer[]>;
      await lab.get({ output, sha256: lab.sha256 });
      output.end();
      assert.equal(sha256(Buffer.concat(await received)), lab.sha256);
    });

    test('and lies is found out, and leaves nothing', async () => {
      await using lab = await Lab.of([]);
      await lab.add(chunked(lab.bytes));
      const error = await failure(lab.get({ sha256: 'ab'.repeat(32) }));
      assert.equal(error.code, 'HW_VERIFICATION');
      assert.deepEqual(lab.left, []);
    });

    test('keeps to the limit, and stops when it is told to', async () => {
      await using lab = await Lab.of([], { size: 6 * MIB });
      await lab.add(chunked(lab.bytes));
      const stop = new AbortController();
      const began = performance.now();
      lab.on(
        (event) => event.event === 'progress' && event.bytes > 2 * MIB,
        () => stop.abort(),
      );
      const error = await failure(lab.get({ limit: 2 * MIB, interval: 0.05, signal: stop.signal }));
      assert.equal(error.code, 'HW_INTERRUPTED');
      assert.ok(performance.now() - began > 800);
      assert.deepEqual(lab.left, []);
    });

    test('is told so when it is all that is left, after one that answers ranges was refused', async () => {
      await using lab = await Lab.of([]);
      await lab.add({ does: 'refuse', status: 404 });
      await lab.add(first(0, HONEST, untold(lab)));
      const report = await lab.get();
      lab.hasTheFile();
      assert.deepEqual(bans(report), { 1: 'HW_NOT_FOUND' });
      assert.ok(lab.saidOf(2).some(became(2, 'running')));
    });
  });
});
