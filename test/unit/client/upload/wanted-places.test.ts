import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';

import { HeadwaterError } from '../../../../src/core/errors.ts';
import { placement } from '../../../../src/core/placement.ts';
import { Stores, type Store } from '../../../../src/client/upload/stores.ts';
import type { UploadChunk } from '../../../../src/client/upload/upload-chunk.ts';
import { placesOf, placesWanted } from '../../../../src/client/upload/wanted-places.ts';

const ID = (number: number): string => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
let clock = 0;

function storesIn(zones: readonly string[], replicas: number, wantedZones = replicas): Stores {
  clock = 0;
  const servers = zones.map((zone, at) => {
    const id = ID(at + 1);
    return { id, name: `s${at + 1}`, zone, url: `http://127.0.0.1:${at + 1}`, weight: 100 + at, open: true };
  });
  return new Stores(
    { replicas, zones: wantedZones, servers },
    () => clock,
    () => undefined,
  );
}

function chunk(text: string, holders: readonly Store[] = []): UploadChunk {
  const digest = createHash('sha256').update(text).digest('hex');
  const ids = new Set(holders.map(({ told }) => told.id));
  return { digest, index: 0, start: 0, end: 1, holders: ids, sent: false, order: undefined };
}

const ids = (stores: readonly Store[]): string[] => stores.map(({ told }) => told.id);

describe('where the copies of a chunk go', () => {
  test('to the first of its places, as everyone else works them out', () => {
    const stores = storesIn(['a', 'a', 'b', 'b', 'c'], 3);
    for (let at = 0; at < 200; at++) {
      const one = chunk(`chunk ${at}`);
      const places = placement(
        one.digest,
        stores.all.map(({ told }) => told),
        3,
      ).map(({ id }) => id);
      assert.deepEqual(ids(placesWanted(one, stores, 0).targets), places.slice(0, 3));
      assert.deepEqual(ids(placesOf(one, stores, 1)), places.slice(0, 4));
    }
  });

  test('only to so many more as are lacking, and to a zone that has none', () => {
    const stores = storesIn(['a', 'a', 'b', 'b'], 2);
    const [first] = stores.all;
    assert.ok(first !== undefined);
    const { complete, targets } = placesWanted(chunk('x', [first]), stores, 0);
    assert.equal(complete, false);
    assert.deepEqual(
      targets.map(({ told }) => told.zone),
      ['b'],
    );
  });

  test('a zone whose servers are away keeps its copy, until the fleet says that they are gone', () => {
    const stores = storesIn(['a', 'a', 'b'], 2);
    const away = stores.all[2];
    assert.ok(away !== undefined);
    stores.failed(away, new HeadwaterError('HW_CONNECT', 'refused'));
    const begun = placesWanted(chunk('x'), stores, 0);
    assert.equal(begun.targets.length, 1);
    const half = chunk('x', begun.targets);
    assert.deepEqual(placesWanted(half, stores, 0), { complete: false, targets: [] });
    stores.take({ replicas: 2, zones: 2, servers: stores.all.slice(0, 2).map(({ told }) => told) });
    assert.equal(placesWanted(half, stores, 0).targets.length, 1);
  });

  test('there are never more copies than servers that take some', () => {
    const stores = storesIn(['a', 'b'], 5);
    assert.equal(placesWanted(chunk('x'), stores, 0).targets.length, 2);
    assert.equal(placesWanted(chunk('x', stores.all), stores, 0).complete, true);
  });

  test('nowhere, while nobody takes chunks: that is not complete', () => {
    const stores = storesIn([], 2);
    assert.deepEqual(placesWanted(chunk('x'), stores, 0), { complete: false, targets: [] });
  });
});

describe('a server that chunks are sent to', () => {
  test('is left alone for longer and longer, then for one chunk, then is as the others', () => {
    const stores = storesIn(['a'], 1);
    const [store] = stores.all;
    assert.ok(store !== undefined);
    const error = new HeadwaterError('HW_CONNECT', 'refused');
    const pauses: number[] = [];
    for (let time = 0; time < 4; time++) {
      stores.failed(store, error);
      pauses.push(stores.untilNext ?? 0);
      clock += stores.untilNext ?? 0;
    }
    assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000]);
    assert.ok(store.hasTurn(clock));
    store.involved = 1;
    assert.ok(!store.hasTurn(clock));
    stores.worked(store);
    assert.ok(store.hasTurn(clock));
  });

  test('may take many times as long as the others do, and no longer', () => {
    const stores = storesIn(['a', 'a', 'a'], 1);
    const [one, two, three] = stores.all;
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    assert.equal(stores.patienceWith(one, 1_000), Infinity);
    two.took(1_000, 2_000);
    three.took(1_000, 2_000);
    assert.equal(stores.patienceWith(one, 1_000), 20_000);
    assert.equal(stores.patienceWith(one, 10), 8_000);
  });
});
