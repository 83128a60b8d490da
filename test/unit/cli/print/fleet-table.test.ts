import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventSentence } from '../../../../src/cli/print/event-sentence.ts';
import { fleetTable } from '../../../../src/cli/print/fleet-table.ts';
import { tableLines } from '../../../../src/cli/print/table.ts';
import type { UpServer, UpStatus } from '../../../../src/cli/up/up-types.ts';

function server(number: number, more: Partial<UpServer> = {}): UpServer {
  return {
    number,
    id: `id-${number}`,
    name: `server-${number}`,
    zone: number % 2 === 0 ? 'b' : 'a',
    url: `http://127.0.0.1:${8080 + number}`,
    pid: 100 + number,
    state: 'running',
    clients: 1,
    bytesSent: 5_000_000,
    rate: 1_000_000,
    files: 1_234,
    ...more,
  };
}

function table(columns: number, rows: number, servers: readonly UpServer[], information = 1): string[] {
  const status: UpStatus = {
    servers,
    informationServers: Array.from({ length: information }, (_, at) => ({
      name: `information-server-${at + 1}`,
      url: `http://127.0.0.1:${7000 + at}`,
      pid: at === 2 ? undefined : 1,
      ready: at !== 2,
      leader: at === 0,
    })),
  };
  return fleetTable(status, { columns, rows, unicode: true, paint: (_, text) => text });
}

test('no line is as wide as the terminal, however long names and zones are', () => {
  const long = server(1, { name: 'x'.repeat(63), zone: 'y'.repeat(63), url: `http://${'z'.repeat(60)}:1` });
  for (const columns of [46, 50, 60, 76, 100, 160])
    for (const line of [...table(columns, 24, [server(2)], 16), ...table(columns, 24, [long])])
      assert.ok(line.length < columns, `${columns}: ${line}`);
});

test('addresses and numbers of files are left out where there is no room', () => {
  assert.match(table(100, 24, [server(1)])[1] ?? '', /1,234 {2}127\.0\.0\.1:8081$/);
  assert.match(table(80, 24, [server(1)])[1] ?? '', /1,234$/);
  assert.match(table(60, 24, [server(1)])[1] ?? '', /MiB.*KiB\/s$/);
  assert.match(table(50, 24, [server(1)])[1] ?? '', /^ {2}1 {2}server-1 {2}.* {2}1 +977 KiB\/s$/);
});

test('more servers than rows are counted', () => {
  const servers = Array.from({ length: 40 }, (_, at) => server(at + 1));
  const lines = table(100, 16, servers);
  assert.ok(lines.length < 14);
  assert.match(lines.at(-2) ?? '', /^ {2}31 more: 31 clients, 148 MiB sent, /);
});

test('who leads among the information servers is told, and who has ended', () => {
  assert.equal(
    table(100, 24, [server(1)], 3).at(-1),
    '  information servers: 127.0.0.1:7000 leads, :7001, :7002 ended',
  );
});

test('what a server says cannot move the cursor', () => {
  const lines = tableLines([{ name: 'a\u001B[2J' }], [{ heading: 'name', cell: ({ name }) => name }], {
    write: () => undefined,
  });
  assert.ok(!lines.join('').includes('\u001B'));
});

test('events are told in sentences, also those that are not known here', () => {
  const event = (kind: string, data: Record<string, unknown>): string =>
    eventSentence({ id: 'x', position: 1, kind, at: '2026-11-20T08:31:07Z', audience: 'people', data }).slice(
      10,
    );
  assert.equal(
    event('server.state', { name: 'server-2', from: 'running', to: 'paused' }),
    'server.state      server-2 is paused, was running',
  );
  assert.equal(
    event('file.published', { serverName: 'one', count: 3, files: [{ name: 'a.bin' }] }),
    'file.published    one has brought a.bin and 2 more',
  );
  assert.equal(event('new.kind', { name: 'x\u0007', of: [1] }), 'new.kind          name x\ufffd, of [1]');
});
