import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { ServeOptions } from '../../../src/file-server/serve-types.ts';
import { findRoots, normaliseServeOptions } from '../../../src/file-server/settings.ts';

const USAGE = { code: 'HW_USAGE' };

describe('options of serving', () => {
  const portsOf = (options: ServeOptions) =>
    normaliseServeOptions(options).ports.map(({ port, exact }) => (exact ? `${port}!` : String(port)));

  for (const [options, ports] of [
    [{}, ['8080']],
    [{ count: 3 }, ['8080', '8081', '8082']],
    [{ ports: [9000] }, ['9000!']],
    [{ ports: [9000, 9005] }, ['9000!', '9005!']],
    [{ ports: [9000], count: 3 }, ['9000!', '9001', '9002']],
    [{ ports: [0], count: 3 }, ['0!', '0', '0']],
    [{ ports: [0, 0] }, ['0!', '0!']],
  ] as [ServeOptions, string[]][]) {
    test(`${JSON.stringify(options)} want the ports ${ports.join(', ')}`, () =>
      assert.deepEqual(portsOf(options), ports));
  }

  for (const options of [
    { count: 0 },
    { count: 1.5 },
    { count: 257 },
    { count: NaN },
    { ports: [1, 2], count: 1 },
    { ports: [65_536] },
    { ports: [-1] },
    { ports: [8080, 8080] },
    { ports: [65_535], count: 2 },
    { limit: 0 },
    { limit: NaN },
    { interval: 0 },
    { interval: NaN },
    { grace: -1 },
    { address: '' },
    { control: { port: 70_000 } },
    { control: { port: 1, token: '' } },
    { tls: { cert: 'none', key: 'none' } },
    { colour: 'blue' } as ServeOptions,
  ] as ServeOptions[]) {
    test(`${JSON.stringify(options)} are refused`, () =>
      assert.throws(() => normaliseServeOptions(options), USAGE));
  }
});

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
