import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { download } from '../../../src/client/download.ts';
import { formatContentRange, parseRange } from '../../../src/core/ranges.ts';

const MIB = 1024 * 1024;
const content = randomBytes(24 * MIB);

/** A download site whose redirects lead to signed addresses; each is good for a while only. */
class SigningSite {
  /** The one signature that is good now. */
  signature = 1;
  refusesAll = false;
  followed = 0;
  refused = 0;
  readonly #door: Server;
  readonly #store: Server;

  constructor() {
    this.#store = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://store');
      if (this.refusesAll || url.searchParams.get('signature') !== String(this.signature)) {
        this.refused++;
        response.writeHead(403).end();
        return;
      }
      const range = parseRange(request.headers.range ?? '', content.length);
      if (range === undefined || range === 'unsatisfiable') {
        response.writeHead(416).end();
        return;
      }
      const { start, end } = range;
      response.writeHead(206, {
        'content-range': formatContentRange(range, content.length),
        'content-length': end - start,
        etag: '"one"',
      });
      response.end(content.subarray(start, end));
    });
    this.#door = createServer((_, response) => {
      this.followed++;
      const { port } = this.#store.address() as AddressInfo;
      response.writeHead(302, { location: `http://127.0.0.1:${port}/f?signature=${this.signature}` }).end();
    });
  }

  async open(): Promise<URL> {
    for (const server of [this.#door, this.#store]) await once(server.listen(0, '127.0.0.1'), 'listening');
    return new URL(`http://127.0.0.1:${(this.#door.address() as AddressInfo).port}/f`);
  }

  close(): void {
    for (const server of [this.#door, this.#store]) {
      server.closeAllConnections();
      server.close();
    }
  }
}

describe('a redirect to an address that expires', () => {
  const site = new SigningSite();
  let folder = '';
  let url = new URL('http://127.0.0.1/');

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hw-expire-'));
    url = await site.open();
  });

  after(async () => {
    site.close();
    await rm(folder, { recursive: true });
  });

  it('is followed anew when the address refuses, and the download goes on', async () => {
    const output = join(folder, 'out');
    let expired = false;
    const report = await download([url], {
      output,
      // Slow enough that the address is a second old, and is not tried for the first time, when it expires.
      limit: 8 * MIB,
      interval: 0.05,
      onEvent: (event) => {
        if (event.event !== 'progress' || expired || event.seconds < 1.3) return;
        expired = true;
        site.signature++;
      },
    });
    assert.ok(expired);
    assert.ok((await readFile(output)).equals(content));
    assert.ok(site.refused > 0);
    assert.equal(site.followed, 2);
    assert.equal(report.sources[0]?.ban, undefined);
  });

  it('is given up when no address that it leads to is any good', async () => {
    let over = false;
    const downloading = download([url], {
      output: join(folder, 'gone'),
      limit: 8 * MIB,
      interval: 0.05,
      onEvent: (event) => {
        if (event.event !== 'progress' || over || event.seconds < 1.3) return;
        over = true;
        site.refusesAll = true;
      },
    });
    await assert.rejects(downloading, { code: 'HW_NOT_ALLOWED' });
    assert.ok(over);
  });
});
