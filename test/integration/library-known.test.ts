import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { HeadwaterError, type BadChunk, type DownloadOptions, type SourceSpec } from '../../src/index.ts';
import { Bitmap } from '../../src/core/bitmap.ts';
import { MIB } from '../../src/core/chunks.ts';
import { PACE, fleet } from '../faults/live-fleet.ts';
import { Lab, bans, failure, slow } from '../faults/network/lab.ts';

describe('known sources', () => {
  test('a bad chunk is told with its source and digest', async () => {
    await using lab = await Lab.of([{ does: 'flip a bit', at: 0 }, slow(PACE)], { size: 8 * MIB });
    const bad: BadChunk[] = [];
    const { manifest } = lab;
    const list = fleet(lab);
    await lab.get({ manifest, onBadChunk: (each) => bad.push(each) }, list);
    lab.hasTheFile();
    assert.deepEqual(bad, [{ source: list[0], chunk: 0, sha256: manifest.chunks[0] }]);
  });

  test('a known source is asked for chunks with its first request', async () => {
    await using lab = await Lab.of([{ does: 'answer' }, { does: 'answer' }], { size: 8 * MIB });
    await lab.get({ manifest: lab.manifest }, fleet(lab));
    lab.hasTheFile();
    for (const { counters } of lab.servers)
      for (const { from, to } of counters.ranges) assert.ok(to - from >= MIB, `${from} to ${to}`);
  });

  test('where a known source redirects, that is followed', async () => {
    await using lab = await Lab.of([{ does: 'answer' }], { size: 4 * MIB });
    const target = lab.server(1);
    await using other = await Lab.of([{ does: 'redirect', to: target.url.href }]);
    const report = await lab.get({ manifest: lab.manifest }, fleet(other));
    lab.hasTheFile();
    assert.deepEqual(bans(report), {});
  });

  test('a known source that has another file, or none, is told from the others', async () => {
    await using lab = await Lab.of(
      [{ does: 'hold another size', size: 5 * MIB }, { does: 'change the ETag' }, { does: 'answer' }],
      { size: 8 * MIB },
    );
    const report = await lab.get({ manifest: lab.manifest, connections: 1 }, fleet(lab));
    lab.hasTheFile();
    assert.equal(bans(report)[1], 'HW_SOURCES_DISAGREE');
    assert.equal(bans(report)[3], undefined);
  });

  test('names and zones are told everywhere', async () => {
    await using lab = await Lab.of([slow(PACE), slow(PACE)], { size: 2 * MIB });
    const report = await lab.get({ manifest: lab.manifest, interval: 0.05 }, fleet(lab));
    const of2 = ({ name, zone }: { name?: string; zone?: string }): unknown => [name, zone];
    assert.deepEqual(report.sources.map(of2), [
      ['server-1', 'a'],
      ['server-2', 'b'],
    ]);
    for (const event of lab.events) {
      if (event.event === 'source')
        assert.deepEqual(of2(event), [`server-${event.id}`, event.id === 1 ? 'a' : 'b']);
      if (event.event === 'progress') assert.deepEqual(event.sources.map(of2), report.sources.map(of2));
    }
  });

  test('the file gets the name that the caller gives', async () => {
    await using lab = await Lab.of([{ does: 'answer' }]);
    await lab.get({ manifest: lab.manifest, output: `${lab.folder}/`, name: 'named.iso' }, fleet(lab));
    lab.hasTheFile('named.iso');
  });

  for (const [what, source, options] of [
    ['an unknown option', { hash: 1 }, {}],
    ['a name that is none', { name: '' }, {}],
    ['holdings without a manifest', { has: new Bitmap(1) }, {}],
    ['known without a manifest', { known: true }, {}],
    ['header fields that HTTP does not allow', { headers: { 'a b': 'c' } }, {}],
    ['a feed that is none', {}, { feed: 1 }],
    ['a file name with a folder', {}, { name: '../x' }],
  ] as const) {
    test(`${what} is refused`, async () => {
      await using lab = await Lab.of([]);
      const spec = { url: 'http://127.0.0.1:1/x', ...source } as SourceSpec;
      const error = await failure(lab.get(options as DownloadOptions, [spec]));
      assert.ok(error instanceof HeadwaterError);
      assert.equal(error.code, 'HW_USAGE');
    });
  }
});
