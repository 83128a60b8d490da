import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Screen } from '../../../../src/cli/print/screen.ts';
import {
  jsonServePrinter,
  lineServePrinter,
  terminalServePrinter,
} from '../../../../src/cli/print/serve-printer.ts';
import type { ServeEvent, ServerStatus } from '../../../../src/file-server/serve-types.ts';

const STATUS: ServerStatus = {
  id: 1,
  url: 'http://127.0.0.1:8080/',
  address: '127.0.0.1',
  port: 8080,
  state: 'running',
  clients: 0,
  answers: 0,
  bytesSent: 0,
  rate: 0,
};
const HASHING = { files: 2, filesDone: 1, bytes: 100, bytesDone: 50 };
const READY: ServeEvent = { event: 'ready', servers: [STATUS], names: ['file'] };
const TOLD: ServeEvent = { event: 'status', servers: [{ ...STATUS, clients: 7 }], hashing: HASHING };
const PAUSED: ServeEvent = { event: 'state', id: 1, url: STATUS.url, state: 'paused' };
const FAULT: ServeEvent = { event: 'fault', id: 1, code: 'HW_DISK', message: 'no\nluck\u001b[2J' };

class FakeScreen implements Screen {
  drawn: readonly string[] = [];
  readonly kept: string[] = [];
  left: string | undefined;

  draw(lines: readonly string[]): void {
    assert.equal(this.left, undefined, 'nothing is drawn on a screen that was left');
    this.drawn = lines;
  }

  above(text: string): void {
    this.kept.push(text);
  }

  leave(how: 'keep' | 'clear'): void {
    this.left = how;
  }
}

function stream(columns = 80) {
  const lines: string[] = [];
  return { lines, columns, rows: 24, write: (text: string) => lines.push(text) };
}

describe('on a terminal', () => {
  test('the table follows what happens, with what is typed below it', () => {
    const screen = new FakeScreen();
    const printer = terminalServePrinter(stream(), screen);
    printer.event(READY);
    assert.match(screen.kept[0] ?? '', /headwater get http:\/\/127\.0\.0\.1:8080\/file/);
    printer.event(TOLD);
    assert.match(screen.drawn.join('\n'), /running +7 .*\n.*computing digests: 50 %/);
    assert.equal(screen.drawn.at(-1), '> ');
    printer.typing('pau');
    assert.equal(screen.drawn.at(-1), '> pau');
    printer.event(PAUSED);
    assert.match(screen.drawn[1] ?? '', /paused +7/);
    printer.event(FAULT);
    assert.match(screen.kept.at(-1) ?? '', /^fault: server 1: no luck.\[2J \(HW_DISK\)$/);
    printer.close();
    assert.equal(screen.left, 'keep');
    assert.ok(!screen.drawn.some((line) => line.startsWith('>')));
    printer.close();
    printer.typing('x');
  });

  test('a long line that is typed shows its end', () => {
    const screen = new FakeScreen();
    const printer = terminalServePrinter(stream(60), screen);
    printer.typing(`${'x'.repeat(200)}end`);
    const line = screen.drawn.at(-1) ?? '';
    assert.ok(line.endsWith('end') && line.length < 60, line);
  });
});

describe('elsewhere', () => {
  test('everything is a line', () => {
    const out = stream();
    const printer = lineServePrinter(out);
    for (const event of [READY, TOLD, PAUSED, FAULT]) printer.event(event);
    printer.say('no');
    const text = out.lines.join('');
    assert.match(text, /^Serving 1 file from 1 server\.\n {2}headwater get /);
    assert.match(
      text,
      /\nserver 1, port 8080: running, 7 clients, 0 B sent, 0 B\/s\ncomputing digests: 50 % of 100 B/,
    );
    assert.match(text, /\nserver 1 \(http:\/\/127\.0\.0\.1:8080\/\) is paused\nfault: server 1: no luck/);
    assert.ok(text.endsWith('\nno\n'));
  });

  test('every event is an object on a line of its own', () => {
    const out = stream();
    const printer = jsonServePrinter(out);
    for (const event of [READY, TOLD, PAUSED, FAULT]) printer.event(event);
    printer.status({ servers: [STATUS], hashing: HASHING });
    printer.say('no');
    const values = out.lines.map((line) => JSON.parse(line) as { event: string });
    assert.ok(out.lines.every((line) => line.indexOf('\n') === line.length - 1));
    assert.deepEqual(values.slice(0, 4), [READY, TOLD, PAUSED, FAULT]);
    assert.deepEqual(
      values.slice(4).map(({ event }) => event),
      ['status', 'console'],
    );
  });
});
