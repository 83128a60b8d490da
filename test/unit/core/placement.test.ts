import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';

import { placement, type PlacementServer } from '../../../src/core/placement.ts';

const GIB = 2 ** 30;
const digests = Array.from({ length: 20_000 }, (_, index) =>
  createHash('sha256').update(String(index)).digest('hex'),
);

function fleet(count: number, zones: number): PlacementServer[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `server-${index}`,
    zone: `zone-${index % zones}`,
    weight: 100 * GIB,
  }));
}

/** How many of the chunks have one of their first `copies` places on each server. */
function loads(servers: readonly PlacementServer[], copies: number, zones: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const digest of digests) {
    for (const { id } of placement(digest, servers, zones).slice(0, copies)) {
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
  }
  return counts;
}

describe('placement', () => {
  it('names every server that takes chunks once, whatever the order it was told of them', () => {
    const servers = fleet(10, 3);
    const [digest = ''] = digests;
    const found = placement(digest, servers, 3).map(({ id }) => id);
    assert.deepEqual(new Set(found), new Set(servers.map(({ id }) => id)));
    assert.equal(found.length, 10);
    assert.deepEqual(
      placement(digest, servers.toReversed(), 3).map(({ id }) => id),
      found,
    );
  });

  it('gives servers of one size the same share, within 5 %', () => {
    const counts = loads(fleet(20, 1), 3, 1);
    for (const [id, count] of counts) assert.ok(Math.abs(count / 3_000 - 1) < 0.05, `${id} has ${count}`);
  });

  it('gives a server of twice the size twice the share, within 5 %', () => {
    const servers = fleet(10, 1).map((each, index) => (index === 0 ? { ...each, weight: 200 * GIB } : each));
    const counts = loads(servers, 1, 1);
    const others = [...counts].filter(([id]) => id !== 'server-0');
    const mean = others.reduce((sum, [, count]) => sum + count, 0) / others.length;
    assert.ok(Math.abs((counts.get('server-0') ?? 0) / mean - 2) < 0.1);
  });

  it('puts copies in different zones while there are zones', () => {
    const servers = fleet(9, 3);
    for (const digest of digests.slice(0, 2_000)) {
      const zones = new Set(
        placement(digest, servers, 3)
          .slice(0, 3)
          .map(({ zone }) => zone),
      );
      assert.equal(zones.size, 3);
    }
  });

  it('goes on with other servers where there are fewer zones than copies', () => {
    const [digest = ''] = digests;
    const chosen = placement(digest, fleet(4, 2), 3).slice(0, 3);
    assert.equal(new Set(chosen.map(({ id }) => id)).size, 3);
    assert.equal(new Set(chosen.map(({ zone }) => zone)).size, 2);
  });

  it('moves to a new server its own share, and nothing between the others', () => {
    const before = fleet(10, 1);
    const added = { id: 'server-new', zone: 'zone-0', weight: 100 * GIB };
    let moved = 0;
    for (const digest of digests) {
      const [was] = placement(digest, before, 1);
      const [is] = placement(digest, [...before, added], 1);
      if (is?.id === was?.id) continue;
      assert.equal(is?.id, 'server-new');
      moved++;
    }
    assert.ok(Math.abs(moved / (digests.length / 11) - 1) < 0.1, `${moved} of ${digests.length} moved`);
  });

  it('leaves out a server that takes nothing', () => {
    const servers = fleet(3, 1).map((each, index) => (index === 1 ? { ...each, weight: 0 } : each));
    for (const digest of digests.slice(0, 100)) {
      assert.ok(!placement(digest, servers, 1).some(({ id }) => id === 'server-1'));
    }
  });
});
