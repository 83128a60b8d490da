import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { LiveFeed } from '../faults/live-feed.ts';
import { chunks, fleet, holding } from '../faults/live-fleet.ts';
import { Lab, bans, failure, of } from '../faults/network/lab.ts';

describe('sources that hold a part', () => {
  for (const known of [true, false]) {
    test(`are asked for what they hold only (${known ? 'known' : 'probed'})`, async () => {
      await using lab = await Lab.of([holding(0, 5), holding(4, 10)], { size: 10 * MIB });
      const [first, second] = fleet(lab, { known });
      assert.ok(first !== undefined && second !== undefined);
      const report = await lab.get({ manifest: lab.manifest }, [
        { ...first, has: chunks(10, 0, 5) },
        { ...second, has: chunks(10, 4, 10) },
      ]);
      lab.hasTheFile();
      assert.deepEqual(
        report.sources.map(({ failures }) => failures),
        [0, 0],
      );
    });
  }

  test('one that holds less than was said is asked for the rest, and is not banned', async () => {
    await using lab = await Lab.of([holding(0, 10), holding(7, 10)], { size: 10 * MIB });
    for (const known of [true, false]) {
      const report = await lab.get(
        { manifest: lab.manifest, output: `${lab.folder}/known-${known}` },
        fleet(lab, { known }),
      );
      lab.is(`known-${known}`);
      assert.deepEqual(bans(report), {});
    }
  });

  test('chunks that nobody holds are waited for, and counted for the person', async () => {
    await using lab = await Lab.of([holding(0, 6), { does: 'answer' }], { size: 10 * MIB });
    const [first, second] = fleet(lab);
    assert.ok(first !== undefined && second !== undefined);
    const live = new LiveFeed();
    const part = [
      { ...first, has: chunks(10, 0, 6) },
      { ...second, has: chunks(10, 0, 0) },
    ];
    lab.on(
      ({ event }) => event === 'notice',
      () => live.say({ ...first, has: chunks(10, 0, 6) }, { ...second, has: chunks(10, 6, 10) }),
    );
    const report = await lab.get({ manifest: lab.manifest, feed: live.feed }, part);
    lab.hasTheFile();
    assert.match(lab.notices[0] ?? '', /4 of 10 chunks \(6–9\)/);
    assert.equal(of(report, 2).bytes, 4 * MIB);
  });

  test('chunks that nobody holds end the download where nothing can change', async () => {
    await using lab = await Lab.of([holding(0, 6)], { size: 10 * MIB });
    const [source] = fleet(lab);
    assert.ok(source !== undefined);
    const error = await failure(lab.get({ manifest: lab.manifest }, [{ ...source, has: chunks(10, 0, 6) }]));
    assert.equal(error.code, 'HW_SOURCES_LOST');
    assert.match(error.message, /4 of 10 chunks/);
    const report = await lab.get({ manifest: lab.manifest }, [
      (lab.server(1).behave({ does: 'answer' }), source),
    ]);
    assert.equal(report.resumedBytes, 6 * MIB);
    lab.hasTheFile();
  });
});
