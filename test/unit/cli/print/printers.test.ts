import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { HeadwaterError } from '../../../../src/core/errors.ts';
import { jsonPrinter } from '../../../../src/cli/print/json-printer.ts';
import { linePrinter } from '../../../../src/cli/print/line-printer.ts';
import { terminalPrinter } from '../../../../src/cli/print/terminal-printer.ts';
import { hideSecrets } from '../../../../src/cli/secrets.ts';
import { done, progress, start, urls } from './events.ts';

const hide = hideSecrets({});

function paper(): { write: (text: string) => void; text: string } {
  const made = {
    text: '',
    write: (text: string): void => {
      made.text += text;
    },
  };
  return made;
}

test('JSON: every event is one line and one object', () => {
  const stream = paper();
  const printer = jsonPrinter(stream, hide);
  const events = [start(), progress(2), done()];
  for (const event of events) printer.event(event);
  const lines = stream.text.trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    events,
  );
});

test('JSON: what ends badly ends with an error line', () => {
  const stream = paper();
  jsonPrinter(stream, hide).failed(new HeadwaterError('HW_NOT_FOUND', 'it is not at http://me:pw@a/f'));
  assert.deepEqual(JSON.parse(stream.text), {
    event: 'error',
    code: 'HW_NOT_FOUND',
    message: 'it is not at http://***@a/f',
    remedy: 'other-source',
    exit: 3,
  });
});

test('lines: start, each source and the total at every interval, troubles, notices, report', () => {
  const stream = paper();
  const printer = linePrinter(stream, () => 2, hide);
  printer.event(start({ resumedBytes: 1024 }));
  printer.event(progress(2));
  printer.event({
    event: 'source',
    id: 2,
    url: 'http://me:pw@b/f',
    state: 'waiting',
    message: 'refused\nthe connection',
    retryIn: 2,
  });
  printer.event({ event: 'notice', message: 'every server is away' });
  printer.event(done());
  const lines = stream.text.split('\n');
  assert.equal(
    lines[0],
    'big.iso: 100 MiB in 100 chunks of 1 MiB from 2 sources; 1 KiB are here already; every chunk is verified as it lands',
  );
  assert.match(
    lines[1] ?? '',
    /^ {2}1 {2}mirror1\.example\.org\/pub\/big\.iso +running +25 % {2}3\.00 MiB\/s$/,
  );
  assert.match(lines[2] ?? '', /^ {2}2 {2}mirror2/);
  assert.equal(lines[3], '5 s: 50 %, 50 MiB of 100 MiB, 10.0 MiB/s, 0:05 left');
  assert.equal(lines[4], 'source 2 http://***@b/f: waiting, asked again in 2 s: refused the connection');
  assert.equal(lines[5], 'note: every server is away');
  assert.match(lines[6] ?? '', /^big\.iso: 100 MiB in 10 s/);
});

test('lines: says in words that nothing can be verified', () => {
  const stream = paper();
  linePrinter(stream, () => 1, hide).event(start({ verification: 'none' }));
  assert.match(stream.text, /no digest is known, so nothing can be verified/);
});

test('terminal: draws at once, again and again, and stops drawing when it is closed', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    const calls: string[] = [];
    const screen = {
      draw: () => calls.push('draw'),
      above: (text: string) => calls.push(`above ${text.split(':')[0]}`),
      leave: (how: string) => calls.push(`leave ${how}`),
    };
    const stream = paper();
    const printer = terminalPrinter(
      { ...stream, columns: 80, rows: 24 },
      screen,
      { urls: urls(2), number: () => 2, now: () => 0 },
      hide,
    );
    mock.timers.tick(200);
    printer.event(start());
    printer.event(done());
    printer.close();
    mock.timers.tick(1000);
    assert.deepEqual(calls, ['draw', 'draw', 'draw', 'above big.iso', 'leave clear']);
  } finally {
    mock.timers.reset();
  }
});

test('terminal: the last picture stays when it fails', () => {
  const calls: string[] = [];
  const screen = { draw: () => undefined, above: () => undefined, leave: (how: string) => calls.push(how) };
  const printer = terminalPrinter(paper(), screen, { urls: urls(2), number: () => 2, now: () => 0 }, hide);
  printer.failed(new Error('x'));
  printer.close();
  assert.deepEqual(calls, ['keep']);
});
