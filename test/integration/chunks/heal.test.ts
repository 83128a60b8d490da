import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { FleetClient } from '../../../src/client/fleet/fleet-client.ts';
import { uploadToFleet } from '../../../src/client/upload/upload.ts';
import type { FileDetails } from '../../../src/core/api/files.ts';
import { MIB } from '../../../src/core/chunks.ts';
import { eventsOf } from '../../information-server/servers/file-server.ts';
import { startTestServer, type TestServer } from '../../information-server/start.ts';
import { Program, until } from '../serve-lab.ts';

/** Real file servers of a fleet. */
class Servers implements AsyncDisposable {
  readonly #fleet: TestServer;
  readonly #folder: string;
  readonly programs = new Map<string, Program>();

  constructor(fleet: TestServer, folder: string) {
    this.#fleet = fleet;
    this.#folder = folder;
  }

  async start(name: string, zone: string): Promise<void> {
    const data = join(this.#folder, name);
    const program = new Program(
      ['file-server', '--join', this.#fleet.url, '--data', data, '--name', name, '--zone', zone].concat([
        '--address',
        '127.0.0.1',
        '--port',
        '0',
        '--json',
        '--reserve',
        '0',
      ]),
      { HEADWATER_JOIN_TOKEN: this.#fleet.joinToken, XDG_CACHE_HOME: join(data, 'cache') },
    );
    this.programs.set(name, program);
    await program.line('"ready"');
    await until(async () => {
      const row = await this.#fleet.database.queries
        .selectFrom('servers')
        .select('store_open')
        .where('name', '=', name)
        .executeTakeFirst();
      return row?.store_open === 1;
    });
  }

  async kill(name: string): Promise<void> {
    await this.programs.get(name)?.[Symbol.asyncDispose]();
    this.programs.delete(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.programs.keys()) await this.kill(name);
  }
}

async function detailsOf(fleet: TestServer, id: string): Promise<FileDetails> {
  return (await fleet.ask('GET', `/v1/files/${id}`)).body as FileDetails;
}

/** Each chunk of the file from each server that is said to hold it. */
async function checkBytes(fleet: TestServer, id: string, bytes: Buffer): Promise<void> {
  const answer = await fleet.ask('POST', `/v1/files/${id}/downloads`);
  const { token, sources } = answer.body as {
    token: string;
    sources: { url: string; has: 'all' | [number, number][] }[];
  };
  for (const { url, has } of sources) {
    const count = Math.ceil(bytes.length / MIB);
    for (const [first, last] of has === 'all' ? [[0, count - 1] as const] : has) {
      const [from, to] = [first * MIB, Math.min((last + 1) * MIB, bytes.length)];
      const headers = { authorization: `Bearer ${token}`, range: `bytes=${from}-${to - 1}` };
      const response = await fetch(url, { headers });
      assert.equal(response.status, 206);
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(from, to)));
    }
  }
}

test('a fleet of real servers heals when one is killed, empties one that drains, and forgets a deleted file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-heal-'));
  try {
    await using fleet = await startTestServer('sqlite', {
      times: { heartbeat: 0.3, suspectAfter: 1.5, deadAfter: 3 },
      copies: { every: 0.2 },
    });
    await using servers = new Servers(fleet, folder);
    for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) await servers.start(name, `z${index % 2}`);
    const bytes = randomBytes(20 * MIB + 12_345);
    const path = join(folder, 'some.bin');
    await writeFile(path, bytes);
    const client = new FleetClient({ addresses: [fleet.url], token: fleet.admin });
    const { id } = await uploadToFleet(client, path, { replicas: 2 });
    assert.deepEqual((await detailsOf(fleet, id)).replicas, { wanted: 2, least: 2, most: 2 });
    await checkBytes(fleet, id, bytes);

    await servers.kill('b');
    await until(async () => (await eventsOf(fleet, 'repair.done')).length > 0, 60_000);
    const healed = await detailsOf(fleet, id);
    assert.equal(healed.replicas.least, 2);
    assert.ok(healed.servers.every(({ name }) => name !== 'b'));
    await checkBytes(fleet, id, bytes);

    await servers.start('b', 'z1');
    await until(async () => (await detailsOf(fleet, id)).replicas.most === 2, 60_000);

    await fleet.ask('POST', '/v1/servers/a/drain');
    await until(async () => (await eventsOf(fleet, 'server.drained')).length > 0, 60_000);
    const emptied = await detailsOf(fleet, id);
    assert.deepEqual(
      emptied.servers.filter(({ name, chunks }) => name === 'a' && chunks > 0),
      [],
    );
    assert.equal(emptied.replicas.least, 2);
    await checkBytes(fleet, id, bytes);

    for (const { id: grant } of await fleet.database.queries.selectFrom('grants').select('id').execute())
      await fleet.ask('DELETE', `/v1/downloads/${grant}`);
    assert.equal((await fleet.ask('DELETE', `/v1/files/${id}`)).status, 204);
    // What came as a copy is removed a while later: nothing refers to it any more.
    const { queries } = fleet.database;
    await until(async () => {
      const holdings = await queries.selectFrom('holdings').select('content_id').execute();
      const stores = await queries.selectFrom('servers').select('store_chunks').execute();
      return holdings.length === 0 && stores.some((row) => row.store_chunks === 0);
    }, 60_000);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
