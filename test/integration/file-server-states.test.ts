import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { codeOf, FileServerProgram, StandInFleet } from './file-server-lab.ts';
import { Files, open, until } from './serve-lab.ts';

const content = randomBytes(64 * MIB);

/** Counts what comes of a body. */
class Counted {
  bytes = 0;
  over: 'end' | 'cut' | undefined;

  constructor(response: IncomingMessage) {
    response.on('data', (part: Buffer) => (this.bytes += part.length));
    response.on('end', () => (this.over = 'end'));
    response.on('error', () => (this.over ??= 'cut'));
  }
}

/** A server with one large file that it sends at a few MB a second. */
async function slowServer(fleet: StandInFleet, files: Files): Promise<FileServerProgram> {
  const server = await FileServerProgram.start([fleet.url], files.folder, { args: ['--limit', '4M'] });
  await until(() => fleet.names.length === 1);
  return server;
}

async function begun(server: FileServerProgram, grant: { path: string; token: string }): Promise<Counted> {
  const response = await open(server.url, grant.path, { authorization: `Bearer ${grant.token}` });
  const counted = new Counted(response);
  await until(() => counted.bytes > 0);
  return counted;
}

/** No byte comes any more, once those under way have arrived. */
async function stands(counted: Counted): Promise<void> {
  let last = -1;
  let same = 0;
  await until(async () => {
    same = counted.bytes === last ? same + 1 : 0;
    last = counted.bytes;
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    return same >= 10;
  });
}

async function moves(counted: Counted): Promise<void> {
  const { bytes } = counted;
  await until(() => counted.bytes > bytes);
}

describe('a file server of a fleet', () => {
  test('pauses and goes on by its console, by signals, by an event and by the answer to a heartbeat', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'big.bin': content });
    await using server = await slowServer(fleet, files);
    const grant = fleet.grant('big.bin');
    const counted = await begun(server, grant);
    let revision = 0;
    const command = (what: 'pause' | 'resume') => {
      revision++;
      // As the fleet does, in one transaction with the event.
      fleet.wanted = what === 'pause' ? 'paused' : 'running';
      fleet.event('server.command', { server: fleet.serverId, command: what, revision });
    };
    const ways: Record<string, [pause: () => void, resume: () => void]> = {
      console: [() => server.program.say('p'), () => server.program.say('r')],
      signals: [() => server.signal('SIGUSR1'), () => server.signal('SIGUSR2')],
      events: [() => command('pause'), () => command('resume')],
      heartbeats: [() => (fleet.wanted = 'paused'), () => (fleet.wanted = 'running')],
    };
    for (const [way, [pause, resume]] of Object.entries(ways)) {
      pause();
      await until(() => fleet.beats.at(-1)?.state === 'paused');
      await stands(counted);
      const refused = await server.ask(grant.path, grant.token, { range: 'bytes=0-9' });
      assert.equal(refused.status, 503, way);
      assert.equal(
        (JSON.parse(refused.body.toString()) as { details: { reason: string } }).details.reason,
        'paused',
      );
      assert.equal(refused.headers['retry-after'], '5');
      resume();
      await until(() => fleet.beats.at(-1)?.state === 'running');
      await moves(counted);
    }
    assert.equal(counted.over, undefined);
  });

  test('does an older command that comes later not, nor one that comes twice', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ file: 'x' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await server.event('ready');
    const command = (what: string, revision: number) =>
      fleet.event('server.command', { server: fleet.serverId, command: what, revision });
    fleet.wanted = 'paused';
    command('pause', 7);
    await server.event('state', ({ state }) => state === 'paused');
    command('resume', 6);
    command('pause', 7);
    server.program.say('r');
    await server.event('state', ({ state }) => state === 'running');
    command('pause', 7);
    fleet.wanted = 'draining';
    command('drain', 8);
    await server.event('state', ({ state }) => state === 'draining');
    assert.deepEqual(
      server.events('state').map(({ state }) => state),
      ['paused', 'running', 'draining'],
    );
  });

  test('that drains goes on with the downloads it has seen and takes no new ones', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'big.bin': content });
    await using server = await slowServer(fleet, files);
    const seen = fleet.grant('big.bin');
    const counted = await begun(server, seen);
    server.program.say('d');
    await until(() => fleet.beats.at(-1)?.state === 'draining');
    await moves(counted);
    assert.equal((await server.ask(seen.path, seen.token, { range: 'bytes=5-9' })).status, 206);
    const late = fleet.grant('big.bin');
    const refused = await server.ask(late.path, late.token, { range: 'bytes=5-9' });
    assert.equal(refused.status, 503);
    assert.match(refused.body.toString(), /draining/);
    server.program.say('r');
    await until(() => fleet.beats.at(-1)?.state === 'running');
    assert.equal((await server.ask(late.path, late.token, { range: 'bytes=5-9' })).status, 206);
  });

  test('ends on SIGTERM after what is under way, and says so first', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'big.bin': content });
    await using server = await slowServer(fleet, files);
    const grant = fleet.grant('big.bin');
    const response = await open(server.url, grant.path, {
      authorization: `Bearer ${grant.token}`,
      range: `bytes=0-${8 * MIB - 1}`,
    });
    const counted = new Counted(response);
    await until(() => counted.bytes > 0);
    server.signal('SIGTERM');
    assert.equal(await server.program.exited, 0);
    assert.equal(counted.over, 'end');
    assert.equal(counted.bytes, 8 * MIB);
    const states = fleet.beats.map(({ state }) => state);
    assert.ok(states.includes('draining'));
    assert.equal(states.at(-1), 'stopped');
  });

  test('ends also while it is telling the fleet what it holds, and is not heard', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ a: 'a', b: 'b' });
    fleet.override = ({ path }) =>
      path.includes('/manifests/')
        ? { status: 503, body: { code: 'HW_DATABASE', message: 'away', details: {} } }
        : undefined;
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.told.some(({ path }) => path.includes('/manifests/')));
    server.signal('SIGTERM');
    assert.equal(await server.program.exited, 0);
  });

  test('ends when an operator stops it', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ file: 'x' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await server.event('ready');
    fleet.event('server.command', { server: fleet.serverId, command: 'stop', revision: 1 });
    assert.equal(await server.program.exited, 0);
    assert.equal(fleet.beats.at(-1)?.state, 'stopped');
  });

  test('ends when another process is this server, and says why', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ file: 'x' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await server.event('ready');
    fleet.override = ({ path }) =>
      path.endsWith('/heartbeat')
        ? {
            status: 409,
            body: { code: 'HW_SUPERSEDED', message: 'another process has registered', details: {} },
          }
        : undefined;
    assert.equal(await server.program.exited, 2);
    assert.match(server.program.complaints.join('\n'), /another process has registered.*HW_SUPERSEDED/);
  });

  test('refuses a data folder that another one uses', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ file: 'x' });
    await using first = await FileServerProgram.start([fleet.url], files.folder);
    await assert.rejects(
      FileServerProgram.start([fleet.url], files.folder, { data: first.data }),
      /another file server uses the data folder.*HW_CONFLICT/s,
    );
  });

  test('whose clock is ten minutes off checks grants by the time of the fleet, and says so', async () => {
    await using fleet = await StandInFleet.start();
    fleet.ahead = 600_000;
    await using files = await Files.of({ file: 'x' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const good = fleet.grant('file');
    await until(async () => (await server.ask(good.path, good.token)).status === 200);
    const now = Math.floor(Date.now() / 1000);
    const over = fleet.grant('file', { exp: now + 300 });
    assert.equal(codeOf(await server.ask(over.path, over.token)), 'HW_TOKEN_EXPIRED');
    const told = await server.event('fault');
    assert.match(String(told['message']), /clock is (599|600|601) s behind/);
  });
});
