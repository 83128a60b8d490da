import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { DownloadOptions } from '../../../src/client/types.ts';
import { MIB } from '../../../src/core/chunks.ts';
import { contentOf, madeUpContent } from '../fault-server.ts';
import { failure, Lab, manifestOf, sha256 } from '../network/lab.ts';
import { begun, hasBytes } from './begun.ts';

const SIZE = 8 * MIB + 5;
/** The new content: other bytes, as many. */
const other = madeUpContent(99, SIZE).read(0, SIZE);

const known: readonly [string, (bytes: Uint8Array) => DownloadOptions][] = [
  ['a manifest', (bytes) => ({ manifest: manifestOf(bytes) })],
  ['a digest', (bytes) => ({ sha256: sha256(bytes) })],
];

for (const [what, told] of known) {
  test(`a file whose content changed since is refused, by ${what}; what was there is kept until force`, async () => {
    await using lab = await Lab.of([{}, {}], { size: SIZE });
    const kept = await begun(lab, told(lab.bytes));
    const renewed = await lab.add({ content: contentOf(other), etag: '"new"' });
    for (let time = 0; time < 2; time++) {
      const error = await failure(lab.get(told(other), [renewed.url]));
      assert.equal(error.code, 'HW_FILE_CHANGED');
      assert.match(error.message, /out\.bin\.hw-part was begun with .*--force starts anew/);
      kept.isUntouched();
    }
    await lab.get({ ...told(other), force: true }, [renewed.url]);
    hasBytes(lab, other);
  });
}

test('a size that changed since is refused; what was there is kept until force', async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  const kept = await begun(lab);
  const shorter = await lab.add({ content: contentOf(other.subarray(0, SIZE - 1)) });
  const error = await failure(lab.get({}, [shorter.url]));
  assert.equal(error.code, 'HW_FILE_CHANGED');
  assert.match(error.message, new RegExp(`${SIZE - 1} bytes where it had ${SIZE}`));
  kept.isUntouched();
  await lab.get({ force: true }, [shorter.url]);
  hasBytes(lab, other.subarray(0, SIZE - 1));
});

test('with no digest, another ETag at the same address is another file', async () => {
  await using lab = await Lab.of([{ etag: '"old"' }], { size: SIZE });
  const kept = await begun(lab);
  const { port } = lab.server(1);
  await lab.server(1).close();
  const renewed = await lab.add({ port, etag: '"new"' });
  const error = await failure(lab.get({}, [renewed.url]));
  assert.equal(error.code, 'HW_FILE_CHANGED');
  assert.match(error.message, /another ETag/);
  kept.isUntouched();
  await lab.get({ force: true }, [renewed.url]);
  lab.hasTheFile();
});

test('with no digest, other bytes at another address are another file', async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  const kept = await begun(lab);
  const others = [
    await lab.add({ content: contentOf(other), etag: '"a"' }),
    await lab.add({ content: contentOf(other), etag: '"b"' }),
  ];
  const error = await failure(
    lab.get(
      {},
      others.map(({ url }) => url),
    ),
  );
  assert.equal(error.code, 'HW_FILE_CHANGED');
  assert.match(error.message, /sends other bytes than those that are there/);
  kept.isUntouched();
  const urls = others.map(({ url }) => url);
  await lab.get({ force: true }, urls);
  hasBytes(lab, other);
});

test('with no digest, the same bytes at other addresses are the same file', async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  await begun(lab);
  await lab.add({ etag: '"a"', name: 'elsewhere.bin' });
  await lab.add({ etag: '"b"' });
  const report = await lab.get({}, [lab.server(2).url, lab.server(3).url]);
  assert.ok(report.resumedBytes >= SIZE / 4, `${report.resumedBytes} bytes were there`);
  lab.hasTheFile();
});

test('with no digest, one stranger among the sources is dropped, and what is there is gone on with', async () => {
  await using lab = await Lab.of([{ etag: '"a"' }, { etag: '"b"' }], { size: SIZE });
  await begun(lab);
  const stranger = await lab.add({ content: contentOf(other), etag: '"c"' });
  const report = await lab.get({}, [stranger.url, lab.server(1).url, lab.server(2).url]);
  assert.ok(report.resumedBytes > 0);
  assert.equal(report.sources[0]?.ban?.code, 'HW_SOURCES_DISAGREE');
  lab.hasTheFile();
});

test('a manifest that comes later decides chunk by chunk what of an earlier run is right', async () => {
  await using lab = await Lab.of([{ etag: '"old"' }], { size: SIZE });
  await begun(lab);
  // The same file at an address that says otherwise of itself: the digests know better.
  const { port } = lab.server(1);
  await lab.server(1).close();
  const renewed = await lab.add({ port, etag: '"new"' });
  const report = await lab.get({ manifest: manifestOf(lab.bytes) }, [renewed.url]);
  assert.ok(report.resumedBytes >= SIZE / 4);
  assert.ok(
    renewed.counters.bytesSent <= SIZE - report.resumedBytes + 1,
    'what was right was not fetched again',
  );
  lab.hasTheFile();
});

test('a manifest that no chunk of an earlier run matches is of another file', async () => {
  await using lab = await Lab.of([{}], { size: SIZE });
  const kept = await begun(lab);
  const renewed = await lab.add({ content: contentOf(other), etag: '"a"' });
  const manifest = manifestOf(other);
  const error = await failure(lab.get({ manifest }, [renewed.url]));
  assert.equal(error.code, 'HW_FILE_CHANGED');
  kept.isUntouched();
  await lab.get({ manifest, force: true }, [renewed.url]);
  hasBytes(lab, other);
});

test('a digest that comes later finds the lie of an earlier run', async () => {
  await using lab = await Lab.of([{ etag: '"a"' }], { size: SIZE });
  const liar = await lab.add({ content: contentOf(other), etag: '"b"' });
  await begun(lab, {}, [liar.url]);
  const report = await failure(lab.get({ sha256: sha256(lab.bytes) }, [lab.server(1).url]));
  assert.equal(report.code, 'HW_FILE_CHANGED');
  await lab.get({ sha256: sha256(lab.bytes), resume: false }, [lab.server(1).url]);
  lab.hasTheFile();
});

test('what a mirror that was left behind vouched for is fetched again when most turn out to be ahead of it', async () => {
  await using lab = await Lab.of([{ etag: '"old"' }], { size: SIZE });
  await begun(lab);
  // So late that the download has gone on with the one that is behind, and no faster than it.
  lab.server(1).behave({ does: 'answer', bytesPerSecond: 8 * MIB });
  for (const etag of ['"new"', '"newer"']) {
    const script = { does: 'answer', delay: 200, bytesPerSecond: 8 * MIB } as const;
    await lab.add({ content: contentOf(other), etag, script });
  }
  await lab.get();
  hasBytes(lab, other);
});
