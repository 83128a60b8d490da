import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { MIB } from '../../../src/core/chunks.ts';
import { Lab, slow } from '../network/lab.ts';

const SIZE = 6 * MIB + 5;

interface Told {
  readonly ends: readonly { readonly name: string; readonly end: string; readonly left: readonly string[] }[];
  readonly before: { readonly files: readonly string[]; readonly threads: number };
  readonly now: { readonly files: readonly string[]; readonly threads: number };
  readonly active: readonly string[];
}

test('an abort at any moment ends everything: no file, socket, thread or timer is left, and what is there is kept', async () => {
  await using lab = await Lab.of([slow(24 * MIB), slow(24 * MIB)], { size: SIZE });
  const urls = lab.urls.map(({ href }) => href);
  const script = join(import.meta.dirname, 'abort-program.ts');
  // It has to end by itself: nothing that it leaves may keep it alive.
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [script, lab.folder, String(SIZE), lab.sha256, ...urls],
    { timeout: 60_000 },
  );
  const { ends, before, now, active } = JSON.parse(stdout) as Told;
  for (const { name, end, left } of ends) {
    // What is counted in time may come after the end, where most of the file was there already.
    const late = ['before the first answer', 'in the middle', 'at the end'].includes(name);
    if (!late || end !== 'done') assert.equal(end, 'HW_INTERRUPTED', `aborted ${name}`);
    const kept = end === 'done' ? ['out.bin'] : ['out.bin.hw-journal', 'out.bin.hw-part'];
    if (left.length > 0) assert.deepEqual(left, kept, `aborted ${name}`);
  }
  assert.ok(ends.some(({ left }) => left.includes('out.bin.hw-part')));
  assert.deepEqual(now.files, before.files);
  assert.ok(now.threads <= before.threads, `${now.threads} threads, before there were ${before.threads}`);
  assert.deepEqual(
    active.filter((each) => each !== 'PipeWrap' && each !== 'TTYWrap'),
    [],
  );
  lab.server(1).behave({ does: 'answer' });
  await lab.get();
  lab.hasTheFile();
});
