import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';

import { serve } from '../../src/index.ts';
import { MIB } from '../../src/core/chunks.ts';
import { LiveFeed } from '../faults/live-feed.ts';
import { PACE, fleet, only } from '../faults/live-fleet.ts';
import { Lab, bans, became, failure, of, slow, until } from '../faults/network/lab.ts';

describe('a live set of sources', () => {
  test('a source that joins a running download gets work at once', async () => {
    await using lab = await Lab.of([slow(PACE), slow(PACE)], { size: 12 * MIB });
    const list = fleet(lab);
    const live = new LiveFeed();
    lab.on(
      ({ event }) => event === 'progress',
      () => live.say(...list),
    );
    const report = await lab.get(
      { manifest: lab.manifest, feed: live.feed, interval: 0.05, connections: 1 },
      only(list, 1),
    );
    lab.hasTheFile();
    assert.ok(of(report, 2).bytes >= 3 * MIB, `it gave ${of(report, 2).bytes} bytes`);
    assert.ok(live.over, 'the feed is told that the download is over');
  });

  test('a source that is gone is given up in the middle of what it sends, and is asked again once it is back', async () => {
    await using lab = await Lab.of([slow(PACE), slow(PACE / 4)], { size: 12 * MIB });
    const list = fleet(lab);
    const live = new LiveFeed();
    const [, second] = lab.servers;
    let open = -1;
    lab.on(
      (event) => event.event === 'progress' && (event.sources[1]?.bytes ?? 0) > 0,
      () => live.say(...only(list, 1)),
    );
    lab.on(became(2, 'waiting', 'HW_UNAVAILABLE'), () => {
      void until(() => second?.open === 0, 'it is not read from any more').then(() => {
        open = lab.server(2).counters.requests;
        live.say(...list);
      });
    });
    const report = await lab.get(
      { manifest: lab.manifest, feed: live.feed, interval: 0.05, connections: 1 },
      list,
    );
    lab.hasTheFile();
    assert.ok(open > 0 && lab.server(2).counters.requests > open, 'it was asked again');
    assert.deepEqual(bans(report), {});
    assert.match(lab.saidOf(2).find(({ state }) => state === 'waiting')?.message ?? '', /server-2/);
  });

  test('a source that is paused ends what it sends and is asked nothing new until it goes on', async () => {
    await using lab = await Lab.of([slow(PACE), slow(PACE)], { size: 16 * MIB });
    const list = fleet(lab);
    const [first, second] = list;
    assert.ok(first !== undefined && second !== undefined);
    const live = new LiveFeed();
    lab.on(
      (event) => event.event === 'progress' && (event.sources[1]?.bytes ?? 0) > 0,
      () => live.say(first, { ...second, paused: 'draining' }),
    );
    let asked = 0;
    lab.on(became(2, 'waiting'), () => {
      lab.on(
        (event) => event.event === 'progress' && event.sources[1]?.connections === 0,
        () => {
          asked = lab.server(2).counters.requests;
        },
      );
      lab.on(
        (event) => event.event === 'progress' && event.bytes > 8 * MIB,
        () => {
          assert.equal(lab.server(2).counters.requests, asked);
          live.say(first, second);
        },
      );
    });
    const report = await lab.get(
      { manifest: lab.manifest, feed: live.feed, interval: 0.05, connections: 1 },
      list,
    );
    lab.hasTheFile();
    assert.ok(asked > 0 && lab.server(2).counters.requests > asked, 'it was asked again');
    assert.equal(of(report, 2).failures, 0);
    assert.equal(report.wastedBytes, 0);
    assert.equal(lab.saidOf(2).find(({ state }) => state === 'waiting')?.message, 'server-2 is draining');
  });

  test('a download may begin with nobody there, says so, and goes on by itself', async () => {
    await using lab = await Lab.of([{ does: 'answer' }]);
    const live = new LiveFeed();
    live.say();
    lab.on(
      ({ event }) => event === 'notice',
      () => live.say(...fleet(lab)),
    );
    await lab.get({ manifest: lab.manifest, feed: live.feed }, []);
    lab.hasTheFile();
    assert.match(lab.notices[0] ?? '', /no source .* waiting/);
  });

  test('a download that waits for sources gives up when its time is over', async () => {
    await using lab = await Lab.of([]);
    const error = await failure(lab.get({ feed: new LiveFeed().feed, timeout: 0.5 }, []));
    assert.equal(error.code, 'HW_SOURCES_LOST');
    assert.match(error.message, /for 0.5 s, and none is there/);
  });

  test('real servers that are paused and ended by their operator: they say so, and the others go on', async () => {
    await using lab = await Lab.of([], { size: 24 * MIB });
    const file = join(lab.folder, 'served.bin');
    writeFileSync(file, lab.bytes);
    const serving = await serve([file], {
      ports: [0, 0, 0],
      address: '127.0.0.1',
      cache: false,
      limit: PACE,
    });
    try {
      await serving.hashed;
      const [first, second] = serving.servers;
      assert.ok(first !== undefined && second !== undefined);
      const list = serving.servers.map(({ url, id }) => ({
        url: new URL('served.bin', url),
        id: `${id}`,
        known: true,
      }));
      lab.on(
        (event) => event.event === 'progress' && (event.sources[0]?.bytes ?? 0) > MIB,
        () => {
          first.pause();
          void second.end(0);
        },
      );
      lab.on(
        (event) => event.event === 'source' && /answers 503: .*paused/.test(event.message ?? ''),
        () => first.resume(),
      );
      const report = await lab.get({ manifest: lab.manifest, interval: 0.05 }, list);
      lab.is('out.bin');
      assert.deepEqual(bans(report), {});
      assert.match(lab.saidOf(1).findLast(({ state }) => state === 'waiting')?.message ?? '', /paused/);
      assert.ok(lab.saidOf(2).some(became(2, 'waiting', 'HW_CONNECT')));
    } finally {
      await serving.close(0);
    }
  });

  test('a source at another address under the same id is another source', async () => {
    await using lab = await Lab.of([slow(PACE / 2), { does: 'answer' }], { size: 8 * MIB });
    const [first, second] = fleet(lab);
    assert.ok(first !== undefined && second !== undefined);
    const live = new LiveFeed();
    lab.on(
      (event) => event.event === 'progress' && event.bytes > 0,
      () => live.say({ ...second, id: 'id-1' }),
    );
    const report = await lab.get({ manifest: lab.manifest, feed: live.feed, interval: 0.05 }, [first]);
    lab.hasTheFile();
    assert.deepEqual(
      report.sources.map(({ url }) => url),
      [String(first.url), String(second.url)],
    );
    assert.ok(of(report, 2).bytes > 0);
  });

  test('when the feed breaks the download goes on with whom it knows, and says so', async () => {
    await using lab = await Lab.of([slow(PACE)]);
    const live = new LiveFeed();
    live.end(new Error('nobody there'));
    await lab.get({ manifest: lab.manifest, feed: live.feed }, fleet(lab));
    lab.hasTheFile();
    assert.ok(lab.notices.some((notice) => notice.includes('nobody there')));
  });

  test('when all sources are gone and the feed has ended, the download ends', async () => {
    await using lab = await Lab.of([slow(PACE)], { size: 8 * MIB });
    const live = new LiveFeed();
    lab.on(
      (event) => event.event === 'progress' && event.bytes > 0,
      () => {
        live.say();
        live.end();
      },
    );
    const error = await failure(
      lab.get({ manifest: lab.manifest, feed: live.feed, interval: 0.05 }, fleet(lab)),
    );
    assert.equal(error.exit, 6);
    assert.match(error.message, /server-1/);
  });

  test('into a stream, which cannot begin anew, it waits for others when those it has are banned', async () => {
    await using lab = await Lab.of([slow(PACE), { does: 'answer' }], { size: 8 * MIB });
    const list = fleet(lab);
    const [first, second] = list;
    assert.ok(first !== undefined && second !== undefined);
    const live = new LiveFeed();
    const written: Buffer[] = [];
    const output = new Writable({
      write(bytes: Buffer, _, done) {
        written.push(Buffer.from(bytes));
        done();
      },
    });
    lab.on(
      (event) => event.event === 'progress' && event.bytes > 2 * MIB,
      () => lab.server(1).behave({ does: 'refuse', status: 404 }),
    );
    lab.on(became(1, 'banned', 'HW_NOT_FOUND'), () => live.say(first, second));
    const options = { manifest: lab.manifest, feed: live.feed, interval: 0.02, output };
    const report = await lab.get(options, [first, { ...second, paused: true }]);
    assert.ok(Buffer.concat(written).equals(lab.bytes));
    assert.deepEqual(bans(report), { 1: 'HW_NOT_FOUND' });
  });

  test('what was banned for something that may have passed is tried again when it is back; a liar is not', async () => {
    await using lab = await Lab.of([{ does: 'refuse', status: 404 }, { does: 'lie' }, slow(PACE)], {
      size: 12 * MIB,
    });
    const list = fleet(lab);
    const live = new LiveFeed();
    const banned = (id: number): boolean => lab.saidOf(id).at(-1)?.state === 'banned';
    lab.on(
      ({ event }) => event === 'progress' && banned(1) && banned(2),
      () => {
        live.say(...only(list, 3));
        lab.server(1).behave({ does: 'answer' });
        live.say(...list);
      },
    );
    const report = await lab.get(
      { manifest: lab.manifest, feed: live.feed, interval: 0.02, connections: 1 },
      list,
    );
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 2: 'HW_BAD_CHUNK' });
    assert.ok(of(report, 1).bytes > 0);
  });

  test('sources found by a probe join and leave too, with no manifest given', async () => {
    await using lab = await Lab.of([slow(PACE), slow(PACE)], { size: 8 * MIB });
    const list = lab.urls.map((url) => ({ url }));
    const live = new LiveFeed();
    lab.on(
      (event) => event.event === 'progress' && event.bytes > 0,
      () => live.say(...list),
    );
    const report = await lab.get(
      { sha256: lab.sha256, feed: live.feed, interval: 0.05, connections: 1 },
      only(list, 1),
    );
    lab.hasTheFile();
    assert.ok(of(report, 2).bytes > 0);
  });
});
