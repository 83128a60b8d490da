/**
 * Runs the tests: all of them, or those in the files and folders given. Ends with one plain line, "N passed, N failed",
 * and with status 1 when anything failed or nothing ran.
 */
import { existsSync, globSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** Milliseconds that one test file may take; a test that hangs is a failure, not a wait. */
const MOST_TIME = 240_000;

/** Folders in the order they run. Those that start servers and processes have the machine to themselves. */
const ROUNDS = [
  { folders: ['test/unit', 'test/simulation'], concurrency: availableParallelism() },
  { folders: ['test/information-server', 'test/events', 'test/integration'], concurrency: 1 },
  { folders: ['test/faults'], concurrency: 1 },
] as const;

const wanted = process.argv.slice(2);
const total = { passed: 0, failed: 0 };
const failures: string[] = [];
const skipped = new Map<string, string[]>();

for (const path of wanted) {
  if (existsSync(path)) continue;
  console.error(`headwater: npm test takes test files and folders; there is no ${path}`);
  process.exit(2);
}
if (wanted.length > 0) await round(wanted.flatMap(testsIn), 1);
else for (const { folders, concurrency } of ROUNDS) await round(folders.flatMap(testsIn), concurrency);

report();

function testsIn(path: string): string[] {
  if (!existsSync(path)) return [];
  return statSync(path).isDirectory() ? globSync(`${path}/**/*.test.ts`).sort() : [path];
}

async function round(files: readonly string[], concurrency: number): Promise<void> {
  if (files.length === 0) return;
  const stream = run({ files: [...files], concurrency, timeout: MOST_TIME });
  stream.on('test:summary', ({ file, counts }) => {
    if (file !== undefined) return;
    total.passed += counts.passed;
    total.failed += counts.tests - counts.passed - counts.skipped - counts.todo;
  });
  stream.on('test:fail', ({ name, file, todo, details }) => {
    if (todo === undefined && details.type !== 'suite')
      failures.push(`${relative('.', file ?? '')}: ${name}`);
  });
  stream.on('test:pass', ({ name, skip }) => {
    if (skip === undefined || skip === false) return;
    const why = typeof skip === 'string' && skip !== '' ? skip : 'no reason given';
    skipped.set(why, [...(skipped.get(why) ?? []), name]);
  });
  const shown = stream.compose(spec);
  shown.pipe(process.stdout, { end: false });
  await finished(shown);
}

function report(): void {
  for (const [why, names] of skipped) {
    console.log(`\nSKIPPED, ${names.length}: ${why}`);
    for (const name of names) console.log(`  - ${name}`);
  }
  if (failures.length > 0) console.log('\nFAILED');
  for (const failure of failures) console.log(`  - ${failure}`);
  const nothing = total.passed + total.failed === 0;
  if (nothing) console.log('\nNo test ran.');
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed > 0 || nothing ? 1 : 0;
}
