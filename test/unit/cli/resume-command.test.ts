import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { programName, resumeCommand, shellQuoted } from '../../../src/cli/resume-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'headwater-'));
after(() => rmSync(folder, { recursive: true }));

const words = [
  'plain',
  'http://a.example:8080/f?x=1&y=2',
  "it's",
  'two words',
  '$HOME',
  '`id`',
  'a\nb',
  '*',
  '~',
  '#x',
  '!!',
  'back\\slash',
  '',
  'ü',
  "''",
  '-o',
];

test('a shell reads the very words that were quoted', () => {
  const line = `for word in ${words.map(shellQuoted).join(' ')}; do printf '%s\\0' "$word"; done`;
  assert.deepEqual(execFileSync('sh', ['-c', line], { encoding: 'utf8' }).split('\0').slice(0, -1), words);
});

test('plain words are left as they are', () => {
  assert.equal(
    resumeCommand('headwater', ['get', 'http://a:1/f', '-o', 'out.iso', '--limit', '20M']),
    'headwater get http://a:1/f -o out.iso --limit 20M',
  );
});

test('what would begin anew is left out, what replaces an output stays', () => {
  assert.equal(resumeCommand('hw', ['get', 'u', '--no-resume', '--force']), 'hw get u --force');
});

test('the program is called by its name where that finds it, by its path where not', () => {
  const script = join(folder, 'headwater.js');
  writeFileSync(script, '');
  assert.equal(programName(script, folder, '/'), script.slice(1), 'not on the path under its name');
  symlinkSync(script, join(folder, 'headwater'));
  assert.equal(programName(script, `/nowhere:${folder}`, '/'), 'headwater');
  assert.equal(programName(script, '/nowhere', folder), './headwater.js');
  assert.equal(programName(script, '/nowhere', join(folder, 'deeper')), script);
});
