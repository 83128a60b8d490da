import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { root } from './program.ts';

/** What a person has who installed the package: `node_modules/headwater` beside its dependencies, and no source. */
const folder = mkdtempSync(join(tmpdir(), 'headwater-package-'));
const home = join(folder, 'node_modules', 'headwater');
const node = process.execPath;
const DATA = Buffer.alloc(3 * 1024 * 1024 + 1, 'headwater');

before(() => {
  const checkout = join(folder, 'checkout');
  // A copy, so that building and packing leave the checkout alone.
  const kept = [
    'bin',
    'src',
    'scripts',
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
  ];
  for (const each of kept) cpSync(join(root, each), join(checkout, each), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  execFileSync(node, ['scripts/build.ts'], { cwd: checkout });
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: checkout,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const name = /"filename": "([^"]+)"/.exec(packed)?.[1] ?? '';
  mkdirSync(home, { recursive: true });
  execFileSync('tar', ['xzf', join(folder, name), '--strip-components=1', '-C', home]);
  const { dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const each of withTheirs(Object.keys(dependencies))) {
    mkdirSync(join(folder, 'node_modules', each, '..'), { recursive: true });
    symlinkSync(join(root, 'node_modules', each), join(folder, 'node_modules', each));
  }
  writeFileSync(join(folder, 'data.bin'), DATA);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Production dependencies and those of theirs. */
function withTheirs(names: readonly string[], found = new Set<string>()): Set<string> {
  for (const name of names) {
    if (found.has(name)) continue;
    found.add(name);
    const about = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
    };
    withTheirs(Object.keys(about.dependencies ?? {}), found);
  }
  return found;
}

test('the package has compiled sources with their types, and nothing else of the repository', () => {
  assert.deepEqual(readdirSync(home).sort(), [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin',
    'dist',
    'package.json',
  ]);
  const files = readdirSync(join(home, 'dist'), { recursive: true, encoding: 'utf8' });
  assert.ok(
    files.includes('index.js') && files.includes('index.d.ts') && files.includes(join('cli', 'main.js')),
  );
  assert.ok(!files.some((each) => /(?<!\.d)\.ts$/.test(each)), 'no TypeScript but declarations');
});

test('its library serves and downloads, with threads and all', () => {
  const script = `
    import { download, HeadwaterError, readManifest, serve } from 'headwater';
    const serving = await serve(['data.bin'], { ports: [0, 0], address: '127.0.0.1', cache: false });
    await serving.hashed;
    const urls = serving.servers.map(({ url }) => new URL('data.bin', url));
    const report = await download(urls, { output: 'copy.bin', timeout: 20 });
    await serving[Symbol.asyncDispose]();
    console.log(report.verified, report.size, typeof readManifest, new HeadwaterError('HW_USAGE', 'x').exit);
  `;
  writeFileSync(join(folder, 'use.js'), script);
  const said = execFileSync(node, ['use.js'], { cwd: folder, encoding: 'utf8' });
  assert.match(said, new RegExp(`chunks ${DATA.length} function 2\\n$`));
  assert.ok(readFileSync(join(folder, 'copy.bin')).equals(DATA));
});

test('its program runs', () => {
  const program = join(home, 'bin', 'headwater');
  assert.match(execFileSync(node, [program, '--version'], { encoding: 'utf8' }), /^\d+\.\d+\.\d+\n$/);
  const help = execFileSync(node, [program, 'get', '--help'], { encoding: 'utf8' });
  assert.match(help, /--sha256/);
});

test('its types are those that a strict program can use', () => {
  writeFileSync(
    join(folder, 'use.ts'),
    `import { download, type DownloadEvent, type DownloadReport } from 'headwater';
     const seen: DownloadEvent[] = [];
     export const report: Promise<DownloadReport> = download(['http://a/f'], { onEvent: (event) => seen.push(event) });
     // @ts-expect-error: there is no such option
     void download([], { speed: 1 });\n`,
  );
  const flags = '--noEmit --strict --module nodenext --target es2024 --types node --typeRoots';
  execFileSync(
    join(root, 'node_modules/.bin/tsc'),
    [...flags.split(' '), join(root, 'node_modules/@types'), 'use.ts'],
    { cwd: folder, stdio: 'inherit' },
  );
});
