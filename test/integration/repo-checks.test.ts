import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'headwater-'));
after(() => rmSync(folder, { recursive: true }));
for (const file of ['.oxlintrc.json', '.oxfmtrc.json', 'tsconfig.json', 'package.json']) {
  cpSync(join(root, file), join(folder, file));
}
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));

interface Case {
  readonly what: string;
  readonly path: string;
  readonly text: string;
  /** The rule that must speak; undefined where none may. */
  readonly rule: string | undefined;
}

const importing = (from: string, to: string, rule: string | undefined): Case => ({
  what: `${from} from ${to}`,
  path: from,
  text: `export { y } from '${to}';\n`,
  rule,
});
const wrong = (what: string, rule: string, text: string): Case => ({
  what,
  path: 'src/client/x.ts',
  text,
  rule,
});

const CASES: readonly Case[] = [
  importing('src/core/x.ts', '../transport/y.ts', 'no-restricted-imports'),
  importing('src/core/x.ts', '../client/y.ts', 'no-restricted-imports'),
  importing('src/core/x.ts', '../database/y.ts', 'no-restricted-imports'),
  importing('src/core/x.ts', 'node:fs', 'no-restricted-imports'),
  importing('src/core/scheduler/x.ts', '../../file-server/y.ts', 'no-restricted-imports'),
  importing('src/core/scheduler/x.ts', 'node:net', 'no-restricted-imports'),
  importing('src/core/scheduler/x.ts', '../chunks.ts', undefined),
  importing('src/transport/x.ts', '../client/y.ts', 'no-restricted-imports'),
  importing('src/transport/deeper/x.ts', '../../cli/y.ts', 'no-restricted-imports'),
  importing('src/events/x.ts', '../information-server/y.ts', 'no-restricted-imports'),
  importing('src/client/x.ts', '../cli/y.ts', 'no-restricted-imports'),
  importing('src/client/x.ts', '../core/y.ts', undefined),
  importing('src/client/sinks/x.ts', '../../file-server/y.ts', 'no-restricted-imports'),
  importing('src/file-server/x.ts', '../client/y.ts', 'no-restricted-imports'),
  wrong(
    'a floating promise',
    'no-floating-promises',
    'async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}\n',
  ),
  wrong('any', 'no-explicit-any', 'export function f(x: any): void {\n  String(x);\n}\n'),
  wrong('a default export', 'no-default-export', 'export default 1;\n'),
  wrong(
    'a non-null assertion',
    'no-non-null-assertion',
    'export const f = (x: string | undefined): string => x!;\n',
  ),
];

// All cases in one run, each in a file of its own beside the place it stands for.
const files = CASES.map(({ path }, at) => path.replace('x.ts', `case-${at}.ts`));
for (const [at, { text }] of CASES.entries()) {
  const file = join(folder, files[at] ?? '');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
const linted = spawnSync(
  join(root, 'node_modules/.bin/oxlint'),
  ['--type-aware', '--deny-warnings', '-f', 'unix', 'src'],
  { cwd: folder, encoding: 'utf8' },
);

describe('the lint', () => {
  test('fails where anything is wrong', () => assert.equal(linted.status, 1, linted.stderr));
  for (const [at, { what, rule }] of CASES.entries()) {
    test(`${rule === undefined ? 'lets pass' : 'refuses'} ${what}`, () => {
      const said = linted.stdout.split('\n').filter((line) => line.startsWith(`${files[at]}:`));
      if (rule === undefined) assert.ok(!said.join().includes('no-restricted-imports'), said.join('\n'));
      else assert.ok(said.join().includes(rule), linted.stdout);
    });
  }
});

test('a file that is not formatted fails', () => {
  writeFileSync(join(folder, 'x.ts'), 'export const  a = "b"\n');
  const { status } = spawnSync(join(root, 'node_modules/.bin/oxfmt'), ['--check', 'x.ts'], { cwd: folder });
  assert.equal(status, 1);
});
