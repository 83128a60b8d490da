import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import type { Script } from '../faults/fault-server.ts';
import { LiveFeed } from '../faults/live-feed.ts';
import { PACE, fleet, refusal, token } from '../faults/live-fleet.ts';
import { Lab, bans, became, failure, slow } from '../faults/network/lab.ts';

describe('credentials', () => {
  test('header fields that a function gives are those of each moment', async () => {
    await using lab = await Lab.of([{ does: 'answer' }], { size: 8 * MIB });
    let asked = 0;
    const headers = { 'X-Own': 'source' };
    const [source] = fleet(lab, { headers: () => ({ ...headers, authorization: `Bearer ${++asked}` }) });
    assert.ok(source !== undefined);
    await lab.get({ manifest: lab.manifest, headers: { 'X-All': 'all', 'X-Own': 'all' } }, [source]);
    lab.hasTheFile();
    const { seen } = lab.server(1).counters;
    assert.equal(new Set(seen.map(token)).size, seen.length);
    for (const each of seen)
      assert.deepEqual([each.headers.get('x-all'), each.headers.get('x-own')], ['all', 'source']);
  });

  for (const known of [true, false]) {
    test(`an expired token is renewed once for all sources, and nobody is banned (${known ? 'known' : 'probed'})`, async () => {
      let good = 'Bearer 1';
      const script: Script = (request) =>
        token(request) === good
          ? { does: 'answer', bytesPerSecond: PACE }
          : refusal(401, 'HW_TOKEN_EXPIRED', 'the grant has expired');
      await using lab = await Lab.of([script, script, script], { size: 12 * MIB });
      let mine = known ? good : 'Bearer 0';
      let renewals = 0;
      lab.on(
        (event) => event.event === 'progress' && event.bytes > 4 * MIB,
        () => {
          good = 'Bearer 2';
        },
      );
      const report = await lab.get(
        {
          manifest: lab.manifest,
          headers: () => ({ authorization: mine }),
          refresh: () => {
            renewals++;
            mine = good;
            return Promise.resolve(true);
          },
          interval: 0.02,
        },
        fleet(lab, { known }),
      );
      lab.hasTheFile();
      assert.equal(renewals, known ? 1 : 2);
      assert.deepEqual(bans(report), {});
    });
  }

  test('a token that cannot be renewed ends the download with the server’s own words', async () => {
    const script = refusal(401, 'HW_TOKEN_EXPIRED', 'the grant expired at noon');
    await using lab = await Lab.of([script, script]);
    for (const refresh of [
      undefined,
      () => Promise.resolve(false),
      () => Promise.reject(new Error('away')),
    ]) {
      for (const known of [true, false]) {
        const error = await failure(
          lab.get(
            { manifest: lab.manifest, output: `${lab.folder}/out`, ...(refresh && { refresh }) },
            fleet(lab, { known }),
          ),
        );
        assert.equal(error.code, 'HW_TOKEN_EXPIRED');
        assert.match(error.message, /expired at noon/);
      }
    }
  });

  test('a token that is refused again and again although it is new is given up', async () => {
    const script = refusal(401, 'HW_TOKEN_EXPIRED', 'expired');
    await using lab = await Lab.of([script]);
    const error = await failure(
      lab.get({ manifest: lab.manifest, refresh: () => Promise.resolve(true) }, fleet(lab)),
    );
    assert.equal(error.code, 'HW_TOKEN_EXPIRED');
  });

  test('a grant that is revoked ends the download at once', async () => {
    const revoked = refusal(403, 'HW_GRANT_REVOKED', 'the file was deleted');
    await using lab = await Lab.of([slow(PACE), slow(PACE)], { size: 12 * MIB });
    lab.on(
      (event) => event.event === 'progress' && event.bytes > 0,
      () => {
        for (const server of lab.servers) server.behave(revoked);
      },
    );
    const live = new LiveFeed();
    const error = await failure(
      lab.get({ manifest: lab.manifest, feed: live.feed, interval: 0.02 }, fleet(lab)),
    );
    assert.equal(error.code, 'HW_GRANT_REVOKED');
    assert.match(error.message, /the file was deleted/);
  });

  test('what a server says of itself is told', async () => {
    const paused = refusal(503, 'HW_UNAVAILABLE', 'server-1 is paused', { 'Retry-After': '0' });
    await using lab = await Lab.of([paused]);
    lab.on(became(1, 'waiting', 'HW_UNAVAILABLE'), () => lab.server(1).behave({ does: 'answer' }));
    await lab.get({ manifest: lab.manifest }, fleet(lab));
    lab.hasTheFile();
    assert.match(lab.saidOf(1).find(({ state }) => state === 'waiting')?.message ?? '', /server-1 is paused/);
  });
});
