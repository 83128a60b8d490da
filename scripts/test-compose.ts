/**
 * Brings the fleet of deploy/compose.yaml up for real and downloads from it while containers are killed: `npm run
 * test:compose`. Takes everything away again. Not a part of `npm test`: it needs a container engine and some minutes.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { pipeline } from 'node:stream/promises';
import { once } from 'node:events';
import assert from 'node:assert/strict';

import { findEngine, Missing, type Engine } from '../test/compose/engine.ts';
import { Stack } from '../test/compose/stack.ts';

/** MiB of the file that is downloaded, and how many of them a second: long enough to kill somebody on the way. */
const FILE_MIB = 320;
const RATE_MIB = 40;
/** Milliseconds for the whole fleet to come up: PostgreSQL and RabbitMQ set up their folders first. */
const UP_PATIENCE = 180_000;
/** Milliseconds within which a new leader is there. */
const LEADER_PATIENCE = 6_000;
const NAME = 'compose.bin';
const SERVICES = ['postgres', 'rabbitmq', 'information-1', 'information-2', 'a1', 'a2', 'b1'];
const INFORMATION = ['information-1', 'information-2'];
const FILE_SERVERS = ['a1', 'a2', 'b1'];

const root = join(import.meta.dirname, '..');
let passed = 0;
let failed = 0;

try {
  await main(findEngine());
} catch (error) {
  if (!(error instanceof Missing)) throw error;
  console.error(`headwater: npm run test:compose cannot run here: ${error.message}`);
  process.exitCode = 69;
}

async function main(engine: Engine): Promise<void> {
  const stack = new Stack(engine, root);
  let removed = false;
  const remove = (): void => {
    if (!removed) {
      removed = true;
      console.log('- taking everything away');
      stack.remove();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      remove();
      process.exit(130);
    });
  }
  try {
    console.log(`- with ${engine.name}: building the image`);
    await stack.prepare();
    stack.build();
    const digest = await stack.addFile(NAME, FILE_MIB);
    console.log('- starting the fleet');
    stack.up();
    setDefaultCACertificates([
      ...getCACertificates(),
      readFileSync(stack.secret('tls-certificate.pem'), 'utf8'),
    ]);
    await run(stack, digest);
    if (failed > 0) showLogs(stack);
  } catch (error) {
    showLogs(stack);
    throw error;
  } finally {
    remove();
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

async function run(stack: Stack, digest: string): Promise<void> {
  const up = await step('the whole fleet comes up behind nginx', async () => {
    await until(UP_PATIENCE, async () => (await ready(stack)).ready);
    await headwater(stack, [
      'login',
      stack.url,
      '--ca',
      stack.secret('tls-certificate.pem'),
      '--email',
      'admin@example.org',
      '--password-file',
      stack.secret('admin-password'),
    ]);
    await until(
      UP_PATIENCE,
      async () => (await serverStates(stack)).filter((state) => state === 'running').length === 3,
    );
    await until(UP_PATIENCE, async () =>
      (await lines(stack, ['ls', '--json'])).some(({ holders }) => holders === 3),
    );
  });
  if (!up) return;

  await step('every container is healthy by its own check', async () => {
    for (const service of SERVICES) await until(60_000, () => stack.isHealthy(service));
  });

  await step('nothing but nginx can be reached from outside, and nothing of ours runs as root', () => {
    for (const service of SERVICES)
      assert.match(
        stack.inspect(service, '{{json .NetworkSettings.Ports}}'),
        /^(\{\}|\{("\d+\/tcp":null,?)+\})$/,
        service,
      );
    for (const service of [...INFORMATION, ...FILE_SERVERS, 'nginx'])
      assert.notEqual(stack.run(service, 'id', '-u').stdout.trim(), '0', service);
  });

  await step('a file server cannot reach the database; figures are not shown outside', async () => {
    const reach =
      "require('net').connect(5432,'postgres').on('connect',()=>process.exit(0)).on('error',()=>process.exit(9))";
    assert.equal(stack.run('information-1', 'node', '-e', reach).status, 0);
    assert.equal(stack.run('a1', 'node', '-e', reach).status, 9);
    for (const path of ['/metrics', '/servers/a1/metrics', '/servers/postgres/v1/files/x'])
      assert.equal((await fetch(stack.url + path)).status, 404, path);
  });

  await step(
    'a download ends right although the container of a file server is killed on the way',
    async () => {
      const report = await download(stack, digest, () => stack.kill('a1'));
      const sent = new Map(report.sources.map(({ name, bytes }) => [name, bytes]));
      for (const name of FILE_SERVERS)
        assert.ok((sent.get(name) ?? 0) > 0, `${name} sent nothing: ${JSON.stringify([...sent])}`);
    },
  );

  await step('the fleet notices that it is gone, and that it is back', async () => {
    await until(30_000, async () => (await serverStates(stack)).includes('suspected'));
    stack.start('a1');
    await until(60_000, async () => (await serverStates(stack)).every((state) => state === 'running'));
  });

  await step(
    'a download ends right although the leader is killed on the way, and a new one is there in time',
    async () => {
      const leader = INFORMATION.find((service) => leads(stack, service));
      assert.ok(leader !== undefined, 'no information server leads');
      const other = INFORMATION.find((service) => service !== leader) ?? '';
      let took = Infinity;
      await download(stack, digest, async () => {
        stack.kill(leader);
        const since = performance.now();
        await until(LEADER_PATIENCE * 2, async () => (await ready(stack)).leader);
        took = performance.now() - since;
      });
      assert.ok(took <= LEADER_PATIENCE, `${other} leads after ${Math.round(took)} ms`);
      console.log(`    (it led after ${Math.round(took)} ms)`);
      stack.start(leader);
      await until(60_000, () => stack.isHealthy(leader));
    },
  );

  await step('the audit log has who asks, and not nginx', async () => {
    const { token } = JSON.parse(readFileSync(join(stack.folder, 'config/credentials.json'), 'utf8')) as {
      token: string;
    };
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${stack.url}/v1/audit?action=session.opened`, { headers });
    const { items } = (await answer.json()) as { items: { address: string }[] };
    const nginx = stack.inspect('nginx', '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}');
    assert.ok(items.length > 0);
    for (const { address } of items) assert.ok(!nginx.split(' ').includes(address), `${address} is nginx`);
  });

  await step('without RabbitMQ downloads go on, and its being away is told', async () => {
    stack.kill('rabbitmq');
    await until(30_000, async () => {
      const { ready: isReady, broker } = await ready(stack);
      return isReady && !broker;
    });
    await download(stack, digest);
    stack.start('rabbitmq');
    await until(90_000, async () => (await ready(stack)).broker);
  });

  await step('a download ends right although the database is away for a while', async () => {
    await download(stack, digest, async () => {
      stack.kill('postgres');
      await until(30_000, async () => !(await ready(stack)).ready);
      stack.start('postgres');
    });
    await until(60_000, async () => (await ready(stack)).ready);
    await until(60_000, async () => (await serverStates(stack)).every((state) => state === 'running'));
  });

  await step('every part ends cleanly when it is stopped', async () => {
    for (const service of [...INFORMATION, ...FILE_SERVERS]) {
      stack.stop(service);
      assert.equal(stack.inspect(service, '{{.State.ExitCode}}'), '0', service);
    }
  });
}

async function step(name: string, work: () => void | Promise<void>): Promise<boolean> {
  const since = performance.now();
  try {
    await work();
    passed += 1;
    console.log(`  ok      ${name} (${((performance.now() - since) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    failed += 1;
    console.log(
      `  FAILED  ${name}\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return false;
  }
}

/** Waits for the thing itself; what fails on the way is asked again. */
async function until(patience: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + patience;
  let last: unknown = 'it was never so';
  while (performance.now() < end) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = error;
    }
    await sleep(200);
  }
  throw new Error(`not within ${patience} ms`, { cause: last });
}

interface Readiness {
  readonly ready: boolean;
  readonly leader: boolean;
  readonly broker: boolean;
}

async function ready(stack: Stack): Promise<Readiness> {
  const answer = await fetch(`${stack.url}/readyz`, { signal: AbortSignal.timeout(5_000) });
  return (await answer.json()) as Readiness;
}

function leads(stack: Stack, service: string): boolean {
  const ask =
    "fetch('http://127.0.0.1:8080/readyz').then((a)=>a.json()).then((r)=>process.exit(r.leader?0:1))";
  return stack.run(service, 'node', '-e', ask).status === 0;
}

async function serverStates(stack: Stack): Promise<string[]> {
  return (await lines(stack, ['servers', '--json'])).map(({ state }) => String(state));
}

interface Report {
  readonly sources: readonly { readonly name: string; readonly bytes: number }[];
}

/** Downloads the file by name; `disturb`, if any, happens once a third of it is there. */
async function download(stack: Stack, digest: string, disturb?: () => void | Promise<void>): Promise<Report> {
  const output = join(stack.folder, 'out.bin');
  const reportFile = join(stack.folder, 'report.json');
  let disturbed: Promise<void> | undefined;
  await headwater(
    stack,
    [
      'get',
      NAME,
      '-o',
      output,
      '--force',
      '--json',
      '--interval',
      '0.1',
      '--limit',
      `${RATE_MIB}M`,
      '--report',
      reportFile,
    ],
    (event) => {
      const done = event['event'] === 'progress' ? event['bytes'] : undefined;
      const isTime = typeof done === 'number' && done > (FILE_MIB * 1024 * 1024) / 3;
      if (isTime && disturb !== undefined) disturbed ??= (async () => disturb())();
    },
  );
  assert.equal(disturbed === undefined, disturb === undefined, 'nobody was killed on the way');
  await disturbed;
  const hash = createHash('sha256');
  await pipeline(createReadStream(output), hash);
  assert.equal(hash.digest('hex'), digest);
  return JSON.parse(readFileSync(reportFile, 'utf8')) as Report;
}

type Line = Readonly<Record<string, unknown>>;

async function lines(stack: Stack, args: readonly string[]): Promise<Line[]> {
  const all: Line[] = [];
  await headwater(stack, args, (line) => all.push(line));
  return all;
}

/** The program as a person calls it, outside of the containers. */
async function headwater(
  stack: Stack,
  args: readonly string[],
  onLine?: (line: Line) => void,
): Promise<void> {
  const child = spawn(join(root, 'bin', 'headwater'), args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HEADWATER_CONFIG: join(stack.folder, 'config') },
  });
  const said: string[] = [];
  child.stderr.on('data', (data: Buffer) => said.push(data.toString()));
  const closed = once(child, 'close') as Promise<[number | null]>;
  for await (const line of createInterface({ input: child.stdout })) {
    if (onLine !== undefined && line.startsWith('{')) onLine(JSON.parse(line) as Line);
  }
  const [status] = await closed;
  if (status !== 0) throw new Error(`headwater ${args.join(' ')} ended with ${status}: ${said.join('')}`);
}

function showLogs(stack: Stack): void {
  for (const service of [...SERVICES, 'nginx']) {
    console.log(`\n== ${service}`);
    try {
      console.log(stack.logs(service, 30));
    } catch (error) {
      console.log(String(error));
    }
  }
}
