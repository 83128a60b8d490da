import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { normalize } from '../../../src/client/options.ts';
import type { SourceSpec } from '../../../src/client/live-sources.ts';
import { Members, type Member } from '../../../src/client/members.ts';
import { Roster } from '../../../src/client/roster.ts';
import { Bitmap } from '../../../src/core/bitmap.ts';
import type { Manifest } from '../../../src/core/manifest.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { LiveFeed } from '../../faults/live-feed.ts';

const DIGEST = 'a'.repeat(64);
const MANIFEST: Manifest = { version: 1, size: 8, chunkSize: 4, sha256: DIGEST, chunks: [DIGEST, DIGEST] };

/** A roster, and what it says of its sources. */
class Scene {
  readonly live = new LiveFeed();
  readonly said: string[] = [];
  readonly stop = new AbortController();
  readonly members = new Members({ changed: () => {}, banned: () => {} });
  readonly roster: Roster;
  #ended: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(...first: readonly SourceSpec[]) {
    const settings = normalize(first, { manifest: MANIFEST, feed: this.live.feed });
    this.roster = new Roster(settings, {
      joined: (given) => {
        this.said.push(`${given.key} joins`);
        return this.members.join(given, defaultTransportSettings);
      },
      withdrawn: (member, message, gone) => {
        this.#say(member, gone ? 'is gone' : `waits: ${message}`);
        this.members.withdraw(member, message, gone);
      },
      here: (member) => {
        this.#say(member, 'is here');
        if (member.away !== undefined) this.members.recall(member);
      },
      replaced: (member) => this.#say(member, 'is replaced'),
      holding: (member, has) => this.#say(member, `holds ${has?.count ?? 'all'}`),
      ended: (error) => {
        this.said.push(error instanceof Error ? error.message : 'ended');
        this.#ended.resolve();
      },
    });
    this.roster.begin(this.stop.signal);
  }

  #say(member: Member, what: string): void {
    this.said.push(`${member.given.key} ${what}`);
  }

  /** What is said to these lists, in this order, after what was said before. */
  async hears(...lists: readonly (readonly SourceSpec[])[]): Promise<string[]> {
    const before = this.said.length;
    for (const list of lists) this.live.say(...list);
    await new Promise(setImmediate);
    return this.said.slice(before);
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }
}

const a: SourceSpec = { id: 'a', url: 'http://a.example/' };
const b: SourceSpec = { id: 'b', url: 'http://b.example/' };
const half = new Bitmap(2, new Uint8Array([1]));

describe('a roster', () => {
  test('begins with the sources that are there at first', () => {
    const { said } = new Scene(a, { ...b, paused: 'draining' });
    assert.deepEqual(said, ['a joins', 'a is here', 'b joins', 'b waits: http://b.example/ is draining']);
  });

  test('takes in who joins, lets go who is gone, and has who comes back', async () => {
    const scene = new Scene(a);
    assert.deepEqual(await scene.hears([a, b]), ['b joins', 'b is here']);
    assert.deepEqual(await scene.hears([b]), ['a is gone']);
    assert.deepEqual(await scene.hears([b, a]), ['a is here']);
    assert.equal(scene.members.all.length, 2);
  });

  test('says nothing of what stays as it is', async () => {
    const scene = new Scene(a, { ...b, has: half });
    assert.deepEqual(
      await scene.hears([a, { ...b, has: new Bitmap(2, half.bytes) }], [a, { ...b, has: half }]),
      [],
    );
    assert.deepEqual(await scene.hears([], [], []), ['a is gone', 'b is gone']);
  });

  test('pauses and goes on, and tells when the reason is another', async () => {
    const scene = new Scene(a);
    const named = { ...a, name: 'one' };
    assert.deepEqual(await scene.hears([{ ...named, paused: true }], [{ ...named, paused: true }]), [
      'a waits: one is paused',
    ]);
    assert.deepEqual(await scene.hears([{ ...named, paused: 'draining' }]), ['a waits: one is draining']);
    assert.deepEqual(await scene.hears([]), ['a is gone']);
    assert.deepEqual(await scene.hears([{ ...named, paused: 'draining' }]), ['a waits: one is draining']);
    assert.deepEqual(await scene.hears([named]), ['a is here']);
  });

  test('tells what a source holds when that changes', async () => {
    const scene = new Scene(a);
    assert.deepEqual(await scene.hears([{ ...a, has: half }], [{ ...a, has: new Bitmap(2) }], [a]), [
      'a holds 1',
      'a holds 0',
      'a holds all',
    ]);
  });

  test('takes another address under a known id for another source', async () => {
    const scene = new Scene(a);
    const moved = { ...a, url: 'http://elsewhere.example/' };
    assert.deepEqual(await scene.hears([moved]), ['a joins', 'a is here', 'a is replaced']);
    assert.deepEqual(await scene.hears([]), ['a is gone']);
    assert.equal(scene.members.all[1]?.away?.gone, true);
    assert.equal(scene.members.all[0]?.away, undefined);
  });

  test('takes over names, zones and header fields without a word', async () => {
    const scene = new Scene(a);
    const { source } = scene.members.all[0] ?? assert.fail();
    assert.deepEqual(await scene.hears([{ ...a, name: 'one', zone: 'z', headers: { 'x-a': '1' } }]), []);
    assert.equal(scene.members.all[0]?.given.name, 'one');
    assert.equal(source.headersFor(source.url)['x-a'], '1');
  });

  test('is alive until its feed ends', async () => {
    const scene = new Scene(a);
    assert.equal(scene.roster.alive, true);
    scene.live.end();
    await scene.ended;
    assert.equal(scene.roster.alive, false);
    assert.equal(scene.said.at(-1), 'ended');
  });

  test('is not alive any more when its feed breaks, or has a source that is none', async () => {
    const broken = new Scene(a);
    broken.live.end(new Error('it broke'));
    await broken.ended;
    assert.equal(broken.said.at(-1), 'it broke');
    const wrong = new Scene(a);
    wrong.live.say({ url: 'ftp://a.example/' });
    await wrong.ended;
    assert.match(wrong.said.at(-1) ?? '', /ftp/);
    assert.equal(wrong.roster.alive, false);
  });

  test('says nothing any more when the download is over', async () => {
    const scene = new Scene(a);
    scene.stop.abort();
    assert.deepEqual(await scene.hears([b]), []);
    assert.equal(scene.live.over, true);
  });
});
