import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { ChunkIndex } from '../../../src/file-server/chunks/chunk-index.ts';

const unexpected = (why: Error): void => assert.fail(why);

test('the index of a chunk store that cannot be written any more is closed, and doubted the next time', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-index-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'chunks.sqlite');
  const first = await ChunkIndex.open(path, unexpected);
  first.close(true);
  const second = await ChunkIndex.open(path, unexpected);
  assert.equal(second.doubtful, false);
  // As on a full disk: what is written is refused.
  second.get('pragma query_only = 1');
  second.close(true);
  assert.throws(() => second.totals(), /not open|finalized/);
  const third = await ChunkIndex.open(path, unexpected);
  assert.equal(third.doubtful, true);
  third.close(true);
});
