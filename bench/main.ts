import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { chart } from './chart.ts';
import { ROOT } from './commands.ts';
import { describeCommit, describeMachine } from './machine.ts';
import { USAGE, UsageError, readOptions, type BenchOptions } from './options.ts';
import { filled, fullSection, readmeSection } from './pages.ts';
import type { BenchResult, SceneResult } from './results.ts';
import { runScene } from './rounds.ts';
import { aria2Settings } from './rows/aria2-settings.ts';
import { catalogue } from './rows/catalogue.ts';
import { byName } from './rows/by-name.ts';
import { fleetHosts } from './rows/fleet-hosts.ts';
import { fourHosts } from './rows/four-hosts.ts';
import { grantChecks } from './rows/grant-checks.ts';
import { grants } from './rows/grants.ts';
import { ROW_IDS, type RowId } from './rows/ids.ts';
import { limited } from './rows/limited.ts';
import { loopback } from './rows/loopback.ts';
import { manySources } from './rows/many-sources.ts';
import { publishing } from './rows/put.ts';
import { serve } from './rows/serve.ts';
import type { Scene } from './scene.ts';
import { report } from './table.ts';
import { canInstall, extendPath, install, missingTools, packagesOf, type Tool } from './tools.ts';
import { Workspace } from './workspace.ts';

const SCENES: readonly Scene[] = [
  loopback,
  serve,
  fourHosts,
  limited,
  manySources,
  byName,
  fleetHosts,
  publishing,
  grants,
  catalogue,
  grantChecks,
  aria2Settings,
];

/** Load above which figures that hang on the CPU are not to be believed. */
const QUIET = 0.5;

interface Plan {
  readonly scenes: readonly Scene[];
  readonly leftOut: BenchResult['leftOut'];
}

/** Aborted by Ctrl-C and the like; a second one ends at once. */
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort(new Error(`stopped by ${signal}`));
  });
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

await main();

async function main(): Promise<void> {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === 'help') process.stdout.write(`${USAGE}\n`);
    else await bench(options);
  } catch (error) {
    if (interruption.signal.aborted) {
      say('bench: interrupted; nothing was written');
      process.exitCode = 130;
    } else if (error instanceof UsageError) {
      say(`bench: ${error.message}`);
      process.exitCode = 2;
    } else throw error;
  }
}

async function bench(options: BenchOptions): Promise<void> {
  const started = performance.now();
  extendPath();
  const plan = await makePlan(options);
  for (const { row, why } of plan.leftOut) say(`left out: ${row} (${why})`);
  const machine = await describeMachine([...new Set(plan.scenes.flatMap((each) => each.tools))]);
  if (machine.load > QUIET)
    say(`this machine is busy (load ${machine.load.toFixed(1)}): figures will be disturbed`);
  await using workspace = await Workspace.open();
  await workspace.folder('home');
  const context = { ...options, workspace, signal: interruption.signal, say };
  const scenes: SceneResult[] = [];
  for (const scene of plan.scenes) scenes.push(await runScene(scene, context));
  const result: BenchResult = {
    version: 1,
    date: new Date().toISOString(),
    commit: await describeCommit(ROOT),
    quick: options.quick,
    rounds: options.rounds,
    seconds: Math.round((performance.now() - started) / 1000),
    machine,
    scenes,
    leftOut: plan.leftOut,
  };
  process.stdout.write(`\n${report(result)}\n`);
  await write(result, options);
}

/** Which scenes can run here; installs what they need where that is possible. */
async function makePlan(options: BenchOptions): Promise<Plan> {
  const wanted = SCENES.filter((scene) => scene.rows.some((row) => options.rows.has(row)));
  const missing = missingTools(wanted.flatMap((each) => each.tools));
  if (missing.length > 0 && canInstall()) {
    const packages = packagesOf(missing);
    say(`installing with apt-get what is missing: ${packages.join(' ')}`);
    await install(packages);
  }
  const scenes: Scene[] = [];
  const leftOut: { row: RowId; why: string }[] = [];
  for (const scene of wanted) {
    const why = hindrance(scene.tools, scene.needsRoot);
    if (why === undefined) scenes.push(scene);
    else leftOut.push(...scene.rows.filter((row) => options.rows.has(row)).map((row) => ({ row, why })));
  }
  return { scenes, leftOut };
}

function hindrance(tools: readonly Tool[], needsRoot: boolean): string | undefined {
  const missing = missingTools(tools);
  if (missing.length > 0)
    return `needs ${missing.join(', ')}; Debian: apt install ${packagesOf(missing).join(' ')}`;
  if (needsRoot && process.getuid?.() !== 0) return 'makes network namespaces and needs root';
  return undefined;
}

/** Every run leaves its figures in bench/out; a full one is also what the committed files say. */
async function write(result: BenchResult, options: BenchOptions): Promise<void> {
  const json = `${JSON.stringify(result, undefined, 2)}\n`;
  await put('bench/out/last.json', json);
  const full = !options.quick && ROW_IDS.every((row) => options.rows.has(row)) && result.leftOut.length === 0;
  if (!full) {
    say('the committed results are those of a full run and stay as they are');
    return;
  }
  await put('bench/results/latest.json', json);
  await put('docs/benchmark.svg', chart(result));
  await fill('README.md', readmeSection(result));
  await fill('docs/benchmark.md', fullSection(result));
}

async function put(path: string, text: string): Promise<void> {
  try {
    await mkdir(join(ROOT, path, '..'), { recursive: true });
    await writeFile(join(ROOT, path), text);
    say(`written: ${path}`);
  } catch (error) {
    say(`not written: ${path} (${(error as Error).message})`);
    process.exitCode = 1;
  }
}

async function fill(path: string, section: string): Promise<void> {
  const page = await readFile(join(ROOT, path), 'utf8').catch(() => '');
  const next = filled(page, section);
  if (next === undefined)
    say(`not written: ${path} has no section between <!-- bench:start --> and <!-- bench:end -->`);
  else await put(path, next);
}
