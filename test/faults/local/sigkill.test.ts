import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { MIB } from '../../../src/core/chunks.ts';
import { type Kill, KilledClient, type Known, type Loss } from './killed-client.ts';

/** Kills of each kind of download: more than fifty together. */
const KILLS = 18;
const SIZE = 16 * MIB + 345;

/** Where a kill lands: the first of a file in its middle; then anywhere, in its last moments, or before there is anything. */
function anywhere(first: boolean): Kill {
  if (first) return { part: 0.4 + Math.random() * 0.3 };
  const kind = Math.random();
  if (kind < 0.15) return { after: Math.random() * 300 };
  if (kind < 0.4) return { part: 1 };
  return { part: Math.random() };
}

describe('a client that is killed at random moments', { concurrency: true }, () => {
  for (const known of ['manifest', 'sha256', 'nothing'] satisfies Known[]) {
    test(`has the right file in the end and fetches nothing twice, knowing ${known}`, async (t) => {
      const losses: Loss[] = [];
      let kills = 0;
      let files = 0;
      let allowance = 0;
      while (kills < KILLS) {
        await using client = await KilledClient.start(known, 7 + files, SIZE);
        ({ allowance } = client);
        while (!client.isThere)
          if (await client.run(kills < KILLS ? anywhere(client.losses.length === 0) : 'never')) kills++;
        await client.hasTheFile();
        losses.push(...client.losses);
        files++;
      }
      for (const { bytes, at } of losses)
        assert.ok(
          bytes <= allowance,
          `a kill at ${at} cost ${bytes} bytes, ${allowance} are in flight at most`,
        );
      const all = losses.reduce((sum, { bytes }) => sum + bytes, 0);
      assert.ok(
        losses.some(({ at }) => at > 0.2 && at < 0.9),
        'some kills landed in the middle',
      );
      t.diagnostic(
        `${kills} kills over ${files} files; a kill cost ${(all / losses.length / MIB).toFixed(2)} MiB, at most ${(Math.max(...losses.map(({ bytes }) => bytes)) / MIB).toFixed(2)}`,
      );
    });
  }
});
