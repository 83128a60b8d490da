import assert from 'node:assert/strict';
import { test } from 'node:test';

import { UsageError, readOptions } from '../../../bench/options.ts';
import { ROW_IDS } from '../../../bench/rows/ids.ts';

test('everything runs five times unless told otherwise', () => {
  assert.deepEqual(readOptions([]), { rows: new Set(ROW_IDS), rounds: 5, quick: false });
});

test('rows, rounds and --quick are read', () => {
  const options = { rows: new Set(['serve', 'cpu']), rounds: 3, quick: true };
  assert.deepEqual(readOptions(['--only', 'serve,cpu', '--rounds', '3', '--quick']), options);
});

for (const args of [['--only', 'nonsense'], ['--rounds', '0'], ['--rounds', '1.5'], ['--fast'], ['stray']]) {
  test(`"${args.join(' ')}" is refused`, () => {
    assert.throws(() => readOptions(args), UsageError);
  });
}
