import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';

import { download, type DownloadOptions, type DownloadReport, type Manifest } from '../../src/index.ts';
import { ChunkLayout } from '../../src/core/chunks.ts';
import { contentOf, FaultServer, madeUpContent } from '../faults/fault-server.ts';

const MIB = 1024 * 1024;
const SIZES: readonly [string, number][] = [
  ['an empty file', 0],
  ['one byte', 1],
  ['two bytes', 2],
  ['a chunk but for a byte', MIB - 1],
  ['exactly one chunk', MIB],
  ['a chunk and a byte', MIB + 1],
  ['three chunks', 3 * MIB],
];

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function manifestOf(bytes: Uint8Array): Manifest {
  const layout = new ChunkLayout(bytes.length);
  const chunks = Array.from({ length: layout.count }, (_, chunk) =>
    sha256(bytes.subarray(layout.start(chunk), layout.end(chunk))),
  );
  return { version: 1, size: bytes.length, chunkSize: layout.chunkSize, sha256: sha256(bytes), chunks };
}

const KNOWN: readonly [DownloadReport['verified'], (bytes: Uint8Array) => DownloadOptions][] = [
  ['chunks', (bytes) => ({ manifest: manifestOf(bytes) })],
  ['sha256', (bytes) => ({ sha256: sha256(bytes) })],
  ['none', () => ({})],
];

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-sizes-'));
});
after(() => rmSync(folder, { recursive: true }));

for (const [what, size] of SIZES) {
  describe(what, () => {
    const bytes = madeUpContent(3, size).read(0, size);
    const servers: FaultServer[] = [];
    let urls: URL[] = [];
    before(async () => {
      for (const etag of ['"a"', '"b"', '"c"'])
        servers.push(await FaultServer.start({ content: contentOf(bytes), etag }));
      urls = servers.map(({ url }) => url);
    });
    after(() => Promise.all(servers.map((server) => server.close())));

    for (const [verified, told] of KNOWN) {
      test(`on the disk, verified by ${verified}`, async () => {
        const output = join(folder, 'file');
        const report = await download(urls, { output, ...told(bytes) });
        assert.equal(report.verified, verified);
        assert.equal(report.size, size);
        assert.deepEqual(readdirSync(folder), ['file']);
        assert.ok(readFileSync(output).equals(bytes));
        rmSync(output);
      });
      test(`to a stream, verified by ${verified}`, async () => {
        const output = new PassThrough();
        const all = buffer(output);
        const report = await download(urls, { output, ...told(bytes) });
        output.end();
        assert.equal(report.verified, verified);
        assert.ok((await all).equals(bytes));
      });
    }
    test('from a server that answers no ranges', async () => {
      const [server] = servers;
      server?.behave({ does: 'ignore ranges' });
      const output = join(folder, 'file');
      const report = await download(urls.slice(0, 1), { output, sha256: sha256(bytes) });
      assert.equal(report.verified, 'sha256');
      assert.ok(readFileSync(output).equals(bytes));
      rmSync(output);
    });
    test('that is another one than was expected is not taken', async () => {
      const output = join(folder, 'file');
      const expected = sha256(Buffer.from('another'));
      for (const server of servers) server.behave({ does: 'answer' });
      await assert.rejects(download(urls, { output, sha256: expected }), { code: 'HW_VERIFICATION' });
      assert.ok(!readdirSync(folder).includes('file'));
      for (const name of readdirSync(folder)) rmSync(join(folder, name));
    });
  });
}
