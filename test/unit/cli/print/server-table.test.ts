import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { readyText } from '../../../../src/cli/print/ready-text.ts';
import { serverLine, serverTable } from '../../../../src/cli/print/server-table.ts';
import type { ServerStatus } from '../../../../src/file-server/serve-types.ts';

const STATUS: ServerStatus = {
  id: 1,
  url: 'http://127.0.0.1:8080/',
  address: '127.0.0.1',
  port: 8080,
  state: 'running',
  clients: 12,
  answers: 3,
  bytesSent: 1_288_490_189,
  rate: 125_829_120,
};
const HASHED = { files: 1, filesDone: 1, bytes: 0, bytesDone: 0 };
const HASHING = { files: 1200, filesDone: 100, bytes: 1024 ** 3, bytesDone: 1024 ** 3 / 4 };

function many(count: number): ServerStatus[] {
  return Array.from({ length: count }, (_, index) => ({ ...STATUS, id: index + 1, port: 8080 + index }));
}

function table(servers: ServerStatus[], columns: number, rows = 24, hashing = HASHED): string[] {
  return serverTable(servers, hashing, { columns, rows, unicode: true, paint: (_, text) => text });
}

describe('the table of servers', () => {
  test('has a line for each', () => {
    assert.deepEqual(table([STATUS, { ...STATUS, id: 2, state: 'paused', clients: 0, rate: 0 }], 80), [
      '     server                              state    clients      sent        rate',
      '  1  127.0.0.1:8080                      running       12   1.2 GiB   120 MiB/s',
      '  2  127.0.0.1:8080                      paused         0   1.2 GiB       0 B/s',
    ]);
  });

  test('fits every terminal from 60 columns up', () => {
    const long = { ...STATUS, url: 'http://[2001:db8:1234:5678:9abc:def0:1234:5678]:65535/' };
    const full = { ...long, bytesSent: 1023 * 1024 ** 2, rate: 1023 * 1024 ** 2, state: 'running' } as const;
    for (let columns = 60; columns <= 200; columns++) {
      for (const line of table([full, ...many(120)], columns, 24, HASHING)) {
        assert.ok(line.length < columns, `${line.length} in ${columns}: ${line}`);
      }
    }
  });

  test('keeps the port, which tells servers apart, when there is little room', () => {
    const long = { ...STATUS, url: 'http://a-very-long-name.example:8081/' };
    assert.match(table([long], 60)[1] ?? '', /…\S*:8081 /);
  });

  test('fits the height, and sums up the rest', () => {
    const lines = table(many(120), 80, 24, HASHING);
    assert.ok(lines.length < 24);
    assert.match(lines.at(-2) ?? '', /more: 1,\d+ clients, \d+ GiB sent/);
    assert.equal(lines.at(-1), '  computing digests: 25 % of 1 GiB, 1,100 files to go');
  });

  test('is one line a server in a log', () => {
    assert.equal(serverLine(STATUS), 'server 1, port 8080: running, 12 clients, 1.2 GiB sent, 120 MiB/s');
  });
});

describe('what is said at the start', () => {
  test('is the command that gets it', () => {
    const servers = many(2).map((each) => ({ ...each, url: `http://127.0.0.1:${each.port}/` }));
    assert.equal(
      readyText({ event: 'ready', servers, names: ["it's & ü.iso"] }),
      [
        'Serving 1 file from 2 servers.',
        "  headwater get 'http://127.0.0.1:8080/it%27s%20%26%20%C3%BC.iso' 'http://127.0.0.1:8081/it%27s%20%26%20%C3%BC.iso'",
      ].join('\n'),
    );
  });

  test('is short, however much there is', () => {
    const names = Array.from({ length: 500 }, (_, index) => `file${index}`);
    const text = readyText({ event: 'ready', servers: many(100), names, control: 'http://127.0.0.1:9/' });
    assert.ok(text.split('\n').length < 8);
    assert.match(text, /and 497 more: http:\/\/127\.0\.0\.1:8080\/ lists them/);
    assert.match(text, /Control: http:\/\/127\.0\.0\.1:9\/v1\/servers/);
  });
});
