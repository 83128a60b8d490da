import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';

import type { DownloadEvent } from '../../../../src/client/types.ts';
import { DownloadView } from '../../../../src/cli/print/download-view.ts';
import { frame, LEAST_WIDTH } from '../../../../src/cli/print/frame.ts';
import { paintFor } from '../../../../src/cli/print/paint.ts';
import { progress, source, start, urls } from './events.ts';

const plain = (_: string, text: string): string => text;

function drawn(
  events: readonly DownloadEvent[],
  { columns = 80, rows = 24, count = 4, unicode = true, now = () => 0 } = {},
): string[] {
  const view = new DownloadView(urls(count), now);
  for (const event of events) view.take(event);
  return frame(view, { columns, rows, unicode, paint: plain });
}

test('before the first answer every source is probing', () => {
  const lines = drawn([], { count: 2 });
  assert.equal(lines.length, 3);
  assert.match(lines[0] ?? '', /^ {2}1 {2}mirror1\.example\.org\/pub\/big\.iso +probing/);
  assert.match(lines[2] ?? '', /asking the sources/);
});

test('a source that sends shows state, share, rate and connections', () => {
  const [line] = drawn([start(), progress(4)]);
  assert.match(
    line ?? '',
    /^ {2}1 {2}mirror1\.example\.org\/pub\/big\.iso +running +25 % +3\.00 MiB\/s +×2$/,
  );
});

test('the last line shows bar, percent, amounts, rate and time left', () => {
  const last = drawn([start(), progress(4)]).at(-1) ?? '';
  assert.match(last, /^ {2}━+╸?─+ +50 % +50\.0 MiB of 100 MiB +10\.0 MiB\/s +0:05 left$/);
  const bar = last.trim().split(' ')[0] ?? '';
  assert.ok(Math.abs(bar.replace(/─+$/, '').length - bar.length / 2) <= 1, bar);
});

test('what is away says why and when it is asked again, and the seconds run down', () => {
  let now = 1000;
  const view = new DownloadView(urls(2), () => now);
  view.take(start());
  view.take({ event: 'source', id: 1, url: 'http://a/f', state: 'waiting', code: 'HW_SILENT', retryIn: 8 });
  view.take({ event: 'source', id: 2, url: 'http://b/f', state: 'banned', code: 'HW_BAD_CHUNK' });
  view.take(progress(2, { sources: [source(1, { state: 'waiting' }), source(2, { state: 'banned' })] }));
  const settings = { columns: 80, rows: 24, unicode: true, paint: plain };
  assert.match(frame(view, settings)[0] ?? '', /waiting +25 % +silent, again in 0:08$/);
  now += 3000;
  assert.match(frame(view, settings)[0] ?? '', /again in 0:05$/);
  assert.match(frame(view, settings)[1] ?? '', /banned +25 % +wrong bytes$/);
});

test('a source that is back shows no reason any more', () => {
  const lines = drawn([
    start(),
    { event: 'source', id: 1, url: 'http://a/f', state: 'waiting', code: 'HW_SILENT', retryIn: 8 },
    { event: 'source', id: 1, url: 'http://a/f', state: 'running' },
    progress(4),
  ]);
  assert.ok(!lines.join('\n').includes('again'));
});

test('while nothing flows there is no time left to tell', () => {
  const { secondsLeft: _, ...stalled } = progress(4, { rate: 0 });
  assert.match(drawn([start(), stalled]).at(-1) ?? '', /0 B\/s +waiting$/);
});

test('an empty file is whole from the start', () => {
  assert.match(drawn([start({ size: 0, chunks: 0 })]).at(-1) ?? '', /100 %/);
});

describe('fits', () => {
  const states = ['running', 'waiting', 'banned', 'probing'] as const;
  const sources = Array.from({ length: 64 }, (_, at) =>
    source(at + 1, {
      state: states[at % 4] ?? 'running',
      rate: 1023.9 * 1024 ** 2,
      share: 1,
      connections: 16,
    }),
  );
  const events: DownloadEvent[] = [
    start({ size: 1023 * 1024 ** 4 }),
    { event: 'source', id: 2, url: 'http://a/f', state: 'waiting', code: 'HW_UNAVAILABLE', retryIn: 86_399 },
    progress(64, { sources, size: 1023 * 1024 ** 4, bytes: 1022 * 1024 ** 4, secondsLeft: 359_999 }),
  ];
  test('every width from the least on: no line reaches the edge', () => {
    for (let columns = LEAST_WIDTH; columns <= 220; columns++) {
      for (const unicode of [true, false]) {
        for (const line of drawn(events, { columns, count: 64, unicode })) {
          assert.ok(line.length < columns, `${columns}: ${line.length}`);
        }
      }
    }
  });
  test('a narrower one still does not wrap', () => {
    for (const line of drawn(events, { columns: 30, count: 64 })) assert.ok(line.length < 60);
  });
  test('every height: sources that have no room are counted', () => {
    for (let rows = 4; rows <= 80; rows++) {
      const lines = drawn(events, { rows, count: 64 });
      assert.ok(lines.length < rows, `${rows}: ${lines.length}`);
      const more = lines.find((line) => line.includes('more:'));
      if (rows >= 66) assert.equal(more, undefined);
      else assert.match(more ?? '', new RegExp(`… ${64 - (lines.length - 2)} more: `));
    }
  });
});

test('where not all have room, those that send are shown', () => {
  const sources = [1, 2, 3, 4, 5].map((id) => source(id, { state: id < 4 ? 'waiting' : 'running' }));
  const lines = drawn([start(), progress(5, { sources })], { rows: 6, count: 5 });
  assert.deepEqual(
    lines.map((line) => line.trim().split(' ')[0]),
    ['1', '4', '5', '…', lines.at(-1)?.trim().split(' ')[0]],
  );
  assert.match(lines[3] ?? '', /2 more: 2 waiting; 6\.00 MiB/);
});

test('a terminal without block characters gets plain ones', () => {
  for (const line of drawn([start(), progress(4)], { unicode: false })) assert.match(line, /^[\x20-\x7e]*$/);
});

test('colour changes nothing but the colour', () => {
  const view = new DownloadView(urls(4), () => 0);
  for (const event of [start(), progress(4)]) view.take(event);
  const settings = { columns: 80, rows: 24, unicode: true };
  const painted = frame(view, { ...settings, paint: paintFor({ isTTY: true, hasColors: () => true }) });
  assert.notDeepEqual(painted, frame(view, { ...settings, paint: plain }));
  assert.deepEqual(painted.map(stripVTControlCharacters), frame(view, { ...settings, paint: plain }));
});
