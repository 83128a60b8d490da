import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { after, before, describe, it } from 'node:test';

import { formatContentRange, parseRange } from '../../../src/core/ranges.ts';
import { download } from '../../../src/client/download.ts';

const content = Buffer.alloc(3 * 1024 * 1024, 'headwater');

const server = createServer((request, response) => {
  const range = parseRange(request.headers.range ?? '', content.length);
  assert.ok(range !== undefined && range !== 'unsatisfiable');
  const { start, end } = range;
  response.writeHead(206, {
    'content-range': formatContentRange(range, content.length),
    'content-length': end - start,
  });
  response.end(content.subarray(start, end));
});

describe('a reader that takes nothing', () => {
  before(() => once(server.listen(0, '127.0.0.1'), 'listening'));
  after(() => server.close());

  it('does not hold up an abort when all bytes are here', { timeout: 20_000 }, async () => {
    const stop = new AbortController();
    const stuck = new Writable({ highWaterMark: 1, write() {} });
    const { port } = server.address() as AddressInfo;
    const downloading = download([`http://127.0.0.1:${port}/file`], {
      output: stuck,
      signal: stop.signal,
      interval: 0.05,
      onEvent: (event) => {
        if (event.event === 'progress' && event.bytes === content.length) stop.abort();
      },
    });
    await assert.rejects(downloading, { code: 'HW_INTERRUPTED' });
  });
});
