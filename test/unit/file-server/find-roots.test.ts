import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { findRoots } from '../../../src/file-server/find-roots.ts';

const USAGE = { code: 'HW_USAGE' };

describe('paths to serve', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'headwater-roots-'));
    await mkdir(join(folder, 'sub'));
    await writeFile(join(folder, 'a'), '');
    await writeFile(join(folder, '.hidden'), '');
    await writeFile(join(folder, 'sub', 'a'), '');
    await symlink(join(folder, 'a'), join(folder, 'link'));
  });
  after(() => rm(folder, { recursive: true }));

  test('are files under their names, and folders', async () => {
    const roots = await findRoots([join(folder, 'link'), join(folder, 'sub')]);
    assert.deepEqual(
      roots.map(({ kind }) => kind),
      ['file', 'folder'],
    );
    assert.ok(roots[0]?.kind === 'file' && roots[0].name === 'link');
  });

  for (const [what, paths] of [
    ['none', []],
    ['a missing one', ['nothing']],
    ['a hidden one', ['.hidden']],
    ['two of one name', ['a', 'sub/a']],
    ['a device', ['/dev/null']],
  ] as [string, string[]][]) {
    test(`are refused: ${what}`, async () => {
      const full = paths.map((each) => (each.startsWith('/') ? each : join(folder, each)));
      await assert.rejects(findRoots(full), USAGE);
    });
  }
});
