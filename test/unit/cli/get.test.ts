import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { getCommand } from '../../../src/cli/get.ts';
import { EXIT } from '../../../src/core/errors.ts';

const page = readFileSync(new URL('../../../docs/get.md', import.meta.url), 'utf8');

test('docs/get.md tells of every option, and of no other', () => {
  const told = [...page.matchAll(/^\| `.*?` \|/gm)].flatMap(([row]) => row.match(/--[a-z0-9-]+/g) ?? []);
  const options = getCommand().options.map(({ long }) => long);
  assert.deepEqual(new Set(told), new Set(options));
});

test('the help and docs/get.md tell of every exit status that get can have', () => {
  let help = '';
  getCommand()
    .configureOutput({ writeOut: (text) => (help += text) })
    .outputHelp();
  for (const status of Object.values(EXIT)) {
    assert.match(page, new RegExp(`[ \n]${status} `), String(status));
    if (status !== EXIT.internal) assert.match(help, new RegExp(`[ \n]${status} `), String(status));
  }
});
