import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { FleetClient } from '../../src/client/fleet/fleet-client.ts';
import type { UploadEvent, UploadOptions } from '../../src/client/upload/types.ts';
import { uploadToFleet } from '../../src/client/upload/upload.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { madeUpContent } from '../faults/content.ts';
import { PublishingStandIn, type StoreStandIn } from './fleet/publishing-stand-in.ts';

const MIB = 1024 * 1024;
const SIZE = 24 * MIB + 5;
const CHUNKS = 25;

describe('what servers say while a file is published', () => {
  let folder = '';
  let path = '';
  let fleet: PublishingStandIn;
  let client: FleetClient;
  let events: UploadEvent[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'headwater-put-'));
    path = join(folder, 'file');
    await writeFile(path, madeUpContent(5, SIZE).read(0, SIZE));
    fleet = await PublishingStandIn.start(['a', 'b', 'a', 'b']);
    client = new FleetClient({ addresses: [fleet.url], token: 'session' });
    events = [];
  });
  afterEach(async () => {
    await client.close();
    await fleet[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const upload = (options: UploadOptions = {}) =>
    uploadToFleet(client, path, { ...options, interval: 0.05, onEvent: (event) => events.push(event) });
  const [store1, store2] = [0, 1].map((at) => (): StoreStandIn => {
    const store = fleet.stores[at];
    assert.ok(store !== undefined);
    return store;
  }) as [() => StoreStandIn, () => StoreStandIn];

  function copiesAreThere(manifest: Manifest | undefined): void {
    assert.ok(manifest !== undefined);
    for (const digest of manifest.chunks) {
      const holders = fleet.stores.filter(({ chunks }) => chunks.has(digest));
      assert.equal(holders.length, 2, 'as many copies as asked for, and no more');
      assert.equal(new Set(holders.map(({ zone }) => zone)).size, 2);
    }
  }

  test('each chunk is sent once, and goes to servers of two zones', async () => {
    const report = await upload({ name: 'n', visibility: ['ada@example.org'], keep: 3600 });
    copiesAreThere(fleet.commits[0]);
    assert.equal(fleet.stores.flatMap(({ came }) => came).length, CHUNKS);
    assert.ok(fleet.stores.every(({ came }) => came.length > 0));
    assert.deepEqual([report.bytesSent, report.bytesSkipped], [SIZE, 0]);
    assert.deepEqual(fleet.begun, {
      name: 'n',
      visibility: { users: ['ada@example.org'] },
      replace: false,
      keep: 3600,
    });
    assert.deepEqual(
      [events[0]?.event, events.at(-2)?.event, events.at(-1)?.event],
      ['start', 'progress', 'done'],
    );
  });

  test('a server that is full is passed over for the next of its zone, whoever is told', async () => {
    store2().refuse = () => ({ code: 'HW_NO_ROOM' });
    await upload();
    copiesAreThere(fleet.commits[0]);
    assert.equal(store2().chunks.size, 0);
    const told = events.find((event) => event.event === 'server');
    assert.deepEqual([told?.code, told?.state], ['HW_NO_ROOM', 'waiting']);
  });

  test('a server that breaks off is left alone for a while, and asked again', async () => {
    let resets = 0;
    for (const at of [1, 3]) {
      const store = fleet.stores[at];
      // All of one zone: there is nowhere else to go.
      if (store !== undefined) store.refuse = () => (resets++ < 3 ? 'reset' : undefined);
    }
    await upload();
    copiesAreThere(fleet.commits[0]);
    assert.ok(events.some((event) => event.event === 'server' && event.state === 'running'));
  });

  test('a token that is over is renewed once, and no server is blamed', async () => {
    for (const store of fleet.stores) {
      store.refuse = (token) => (token === 'token-0' ? { code: 'HW_TOKEN_EXPIRED' } : undefined);
    }
    await upload();
    copiesAreThere(fleet.commits[0]);
    assert.equal(fleet.renewals, 1);
    assert.ok(!events.some((event) => event.event === 'server'));
  });

  test('chunks that the fleet misses at the commit are sent again, and only those', async () => {
    fleet.refuseCommit = (manifest) => {
      if (fleet.commits.length > 1) return undefined;
      // As if a server had lost its disk.
      for (const digest of manifest.chunks.slice(3, 6))
        for (const { chunks } of fleet.stores) chunks.delete(digest);
      return { code: 'HW_INCOMPLETE', details: { missing: [[3, 5]] } };
    };
    await upload();
    copiesAreThere(fleet.commits[1]);
    assert.equal(fleet.stores.flatMap(({ came }) => came).length, CHUNKS + 3);
  });

  test('an information server that is lost at the commit is waited for', async () => {
    fleet.refuseCommit = () => (fleet.commits.length > 2 ? undefined : 'reset');
    await upload();
    assert.equal(fleet.commits.length, 3);
    assert.ok(events.some((event) => event.event === 'notice' && event.message.endsWith('; waiting')));
  });

  test('with fewer servers open than copies wanted, it commits what there can be', async () => {
    for (const store of fleet.stores.slice(1)) store.open = false;
    await upload();
    assert.equal(store1().chunks.size, CHUNKS);
  });

  test('chunks with the same bytes are sent once', async () => {
    await writeFile(path, Buffer.alloc(20 * MIB));
    const report = await upload();
    assert.equal(fleet.commits[0]?.chunks.length, 20);
    assert.deepEqual([report.bytesSent, report.bytesSkipped], [MIB, 19 * MIB]);
  });

  test('what it is refused for good ends it', async () => {
    fleet.refuseCommit = () => ({ code: 'HW_CONFLICT' });
    await assert.rejects(upload(), { code: 'HW_CONFLICT' });
  });

  test('stopped before it has begun, it sends nothing', async () => {
    await assert.rejects(upload({ signal: AbortSignal.abort() }), { code: 'HW_INTERRUPTED' });
    assert.equal(fleet.stores.flatMap(({ came }) => came).length, 0);
  });
});
