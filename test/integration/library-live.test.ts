import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { HeadwaterError, type BadChunk, type SourceSpec } from '../../src/index.ts';
import { Bitmap } from '../../src/core/bitmap.ts';
import { MIB } from '../../src/core/chunks.ts';
import type { Misbehaviour, Script, SeenRequest } from '../faults/fault-server.ts';
import { LiveFeed } from '../faults/live-feed.ts';
import { Lab, bans, became, failure, of, slow, until } from '../faults/network/lab.ts';

/** Bytes a second at which a download is still under way when something happens to it. */
const PACE = 4 * MIB;

/** The servers of a lab as a fleet would describe them. */
function fleet(lab: Lab, more: Partial<SourceSpec> = {}): SourceSpec[] {
  return lab.servers.map(({ url }, at) => ({
    url,
    id: `id-${at + 1}`,
    name: `server-${at + 1}`,
    zone: at % 2 === 0 ? 'a' : 'b',
    known: true,
    ...more,
  }));
}

function only(list: readonly SourceSpec[], ...numbers: readonly number[]): SourceSpec[] {
  return numbers.flatMap((number) => list[number - 1] ?? []);
}

/** Chunks `from` to `to` (exclusive), of so many. */
function chunks(count: number, from: number, to: number): Bitmap {
  const bitmap = new Bitmap(count);
  for (let chunk = from; chunk < to; chunk++) bitmap.add(chunk);
  return bitmap;
}

/** How a server of ours refuses. */
function refusal(
  status: number,
  code: string,
  message = 'no',
  headers: Readonly<Record<string, string>> = {},
): Misbehaviour {
  return {
    does: 'send',
    status,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ code, message, details: {} }),
  };
}

/** Holds chunks of 1 MiB, `from` to `to` (exclusive), and nothing else. */
function holding(from: number, to: number): Script {
  return ({ range }) =>
    range !== undefined && range.from >= from * MIB && range.to <= to * MIB
      ? { does: 'answer' }
      : refusal(404, 'HW_NOT_HERE', 'not held here');
}

const token = ({ headers }: SeenRequest): string | undefined => headers.get('authorization');

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

describe('what else a fleet needs', () => {
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
      const error = await failure(lab.get(options as object, [spec]));
      assert.ok(error instanceof HeadwaterError);
      assert.equal(error.code, 'HW_USAGE');
    });
  }
});
