import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { ErrorCode } from '../../../src/core/errors.ts';
import { HONEST, type Misbehaviour, type Script } from '../fault-server.ts';
import { bans, became, failure, Lab, of } from './lab.ts';

interface Row {
  readonly name: string;
  readonly does: Misbehaviour;
  readonly code: ErrorCode;
  /** `banned`: never asked again; `waiting`: may come back. */
  readonly state: 'banned' | 'waiting';
  /** Requests until then; undefined: no request gets that far. */
  readonly asked?: number;
}

const PROTOCOL = { code: 'HW_PROTOCOL', state: 'banned', asked: 3 } as const;
const AWAY = { code: 'HW_CONNECT', state: 'waiting' } as const;

/** From the first answer on. */
const ALWAYS: readonly Row[] = [
  { name: 'resets each connection at once', does: { does: 'reset at once' }, ...AWAY },
  { name: 'resets on each request', does: { does: 'reset on request' }, ...AWAY },
  { name: 'closes on each request', does: { does: 'close on request' }, ...AWAY },
  { name: 'never ends its head', does: { does: 'never end the head' }, ...PROTOCOL },
  {
    name: 'begins with a malformed status line',
    does: { does: 'send a status line', line: 'HTTP/1.1 OK' },
    ...PROTOCOL,
  },
  {
    name: 'speaks something else',
    does: { does: 'send raw', bytes: 'SSH-2.0-OpenSSH_9.9\r\n', ending: 'close' },
    ...PROTOCOL,
  },
  { name: 'compresses the file', does: { does: 'compress' }, ...PROTOCOL },
  { name: 'sends a part without Content-Range', does: { does: 'state a range' }, ...PROTOCOL },
  {
    name: 'sends a part with a Content-Range that means nothing',
    does: { does: 'state a range', contentRange: 'bytes 0-oops/4' },
    ...PROTOCOL,
  },
  {
    name: 'sends another part than was asked for',
    does: { does: 'shift the range', from: 1, to: 1, stated: true },
    ...PROTOCOL,
  },
  { name: 'answers 416', does: { does: 'refuse', status: 416 }, ...PROTOCOL },
  { name: 'answers 418', does: { does: 'refuse', status: 418 }, ...PROTOCOL },
  {
    name: 'redirects without saying where to',
    does: { does: 'send', status: 302 },
    code: 'HW_REDIRECT',
    state: 'banned',
    asked: 1,
  },
  {
    name: 'answers 401',
    does: { does: 'refuse', status: 401 },
    code: 'HW_NOT_ALLOWED',
    state: 'banned',
    asked: 1,
  },
  {
    name: 'answers 403',
    does: { does: 'refuse', status: 403 },
    code: 'HW_NOT_ALLOWED',
    state: 'banned',
    asked: 1,
  },
  {
    name: 'answers 404',
    does: { does: 'refuse', status: 404 },
    code: 'HW_NOT_FOUND',
    state: 'banned',
    asked: 1,
  },
  {
    name: 'answers 410',
    does: { does: 'refuse', status: 410 },
    code: 'HW_NOT_FOUND',
    state: 'banned',
    asked: 1,
  },
  { name: 'answers 500', does: { does: 'refuse', status: 500 }, code: 'HW_UNAVAILABLE', state: 'waiting' },
  {
    name: 'answers 429 with Retry-After',
    does: { does: 'refuse', status: 429, retryAfter: 30 },
    code: 'HW_UNAVAILABLE',
    state: 'waiting',
    asked: 1,
  },
];

/** Only once the download runs: the first answer was good. */
const LATER: readonly Row[] = [
  ...ALWAYS.filter(({ does }) => does.does !== 'reset at once'),
  { name: 'resets in the middle of a body', does: { does: 'reset', after: 300_000 }, ...AWAY },
  { name: 'closes in the middle of a body', does: { does: 'close early', after: 300_000 }, ...AWAY },
  {
    name: 'leaves a byte out of each part',
    does: { does: 'shift the range', from: 0, to: -1, stated: false },
    ...PROTOCOL,
  },
  {
    name: 'says truly that it leaves a byte out',
    does: { does: 'shift the range', from: 0, to: -1, stated: true },
    ...PROTOCOL,
  },
  {
    name: 'answers 200 with the whole',
    does: { does: 'ignore ranges' },
    code: 'HW_NO_RANGES',
    state: 'waiting',
    asked: 1,
  },
  {
    name: 'changes its ETag',
    does: { does: 'change the ETag' },
    code: 'HW_SOURCE_CHANGED',
    state: 'banned',
    asked: 1,
  },
  {
    name: 'has a file of another size now',
    does: { does: 'hold another size', size: 5_000_000 },
    code: 'HW_SOURCE_CHANGED',
    state: 'banned',
    asked: 1,
  },
  {
    name: 'redirects now',
    does: { does: 'redirect', to: '/elsewhere' },
    code: 'HW_REDIRECT',
    state: 'banned',
    asked: 1,
  },
];

/** The first answer, to the question for one byte, is as it should be. */
function afterProbe(misbehaviour: Misbehaviour): Script {
  return ({ range }) => (range?.from === 0 && range.to === 1 ? HONEST : misbehaviour);
}

// Most of them wait: side by side they take a third of the time.
describe('answers that break the rules', { concurrency: true }, () => {
  describe(
    'a server that breaks the rules is left, and the others bring the file',
    { concurrency: 16 },
    () => {
      for (const { name, does, code, state, asked } of ALWAYS) {
        test(`one that ${name} from the start`, async () => {
          await using lab = await Lab.of([HONEST, does]);
          lab.server(1).freeze();
          lab.on(became(2, state, code), () => lab.server(1).thaw());
          const report = await lab.get({ sha256: lab.sha256 });
          lab.hasTheFile();
          assert.deepEqual(bans(report), state === 'banned' ? { 2: code } : {});
          assert.equal(of(report, 1).bytes, lab.size);
          if (asked !== undefined) assert.equal(lab.server(2).counters.requests, asked);
        });
      }

      for (const { name, does, code, state, asked } of LATER) {
        test(`one that ${name} later`, async () => {
          await using lab = await Lab.of([HONEST, afterProbe(does)]);
          lab.on(
            ({ event }) => event === 'start',
            () => lab.server(1).freeze(),
          );
          lab.on(became(2, state, code), () => lab.server(1).thaw());
          const report = await lab.get({ sha256: lab.sha256 });
          lab.hasTheFile();
          assert.deepEqual(bans(report), state === 'banned' ? { 2: code } : {});
          assert.equal(of(report, 1).bytes, lab.size);
          assert.equal(of(report, 1).failures, 0);
          assert.ok(of(report, 2).failures > 0);
          if (asked !== undefined) assert.equal(lab.server(2).counters.requests, 1 + asked);
        });
      }
    },
  );

  describe('what is unusual but right is used', { concurrency: 16 }, () => {
    const rows: readonly { readonly name: string; readonly does: Misbehaviour }[] = [
      { name: 'lines that end in a bare LF', does: { does: 'use bare LF' } },
      {
        name: 'interim answers before the answer',
        does: { does: 'send interim heads', statuses: [100, 103] },
      },
      { name: 'chunked parts', does: { does: 'chunk', size: 10_000, adorned: true } },
      { name: 'parts that the end of the connection ends', does: { does: 'end by closing' } },
      { name: 'a connection for each answer', does: { does: 'answer', closing: true } },
      { name: 'more bytes than promised', does: { does: 'send too much', extra: 1000 } },
    ];
    for (const { name, does } of rows) {
      test(name, async () => {
        await using lab = await Lab.of([does, does]);
        const report = await lab.get({ manifest: lab.manifest });
        lab.hasTheFile();
        assert.deepEqual(bans(report), {});
        assert.ok(report.sources.every(({ failures }) => failures === 0));
        assert.equal(report.verified, 'chunks');
      });
    }
  });

  describe('a server that is alone and breaks the rules ends the download', { concurrency: 16 }, () => {
    for (const { name, does, code } of ALWAYS.filter(({ state }) => state === 'banned')) {
      test(`when it ${name}`, async () => {
        await using lab = await Lab.of([does]);
        const error = await failure(lab.get());
        assert.equal(error.code, code);
        assert.ok(error.message.includes(String(lab.server(1).port)), error.message);
        assert.deepEqual(lab.left, []);
      });
    }
  });
});
