import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { parseConsoleCommand } from '../../../src/cli/console-command.ts';

describe('a line of the console', () => {
  for (const [line, kind, id] of [
    ['1', 'pause', 1],
    [' 12 ', 'pause', 12],
    ['p3', 'pause', 3],
    ['pause 1', 'pause', 1],
    ['PAUSE1', 'pause', 1],
    ['r1', 'resume', 1],
    ['r 1', 'resume', 1],
    ['resume\t4', 'resume', 4],
    ['e1', 'end', 1],
    ['end 2', 'end', 2],
  ] as const) {
    test(`"${line}": ${kind} ${id}`, () => assert.deepEqual(parseConsoleCommand(line), { kind, id }));
  }

  for (const [line, kind] of [
    ['', 'status'],
    ['   ', 'status'],
    ['s', 'status'],
    ['S\r', 'status'],
    ['q', 'quit'],
    ['quit', 'quit'],
    ['?', 'help'],
    ['help', 'help'],
  ] as const) {
    test(`${JSON.stringify(line)}: ${kind}`, () => assert.deepEqual(parseConsoleCommand(line), { kind }));
  }

  for (const line of [
    'x',
    '1x',
    'r',
    'end',
    'pause all',
    '-1',
    '1.5',
    '9999999999',
    'constructor',
    '__proto__',
  ]) {
    test(`"${line}" is none`, () =>
      assert.deepEqual(parseConsoleCommand(line), { kind: 'unknown', text: line }));
  }
});
