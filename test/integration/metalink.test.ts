import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { it } from 'node:test';
import { text } from 'node:stream/consumers';

import type { FileDetails, FileList } from '../../src/core/api/files.ts';
import { MIB } from '../../src/core/chunks.ts';
import { startTestServer, type TestServer } from '../information-server/start.ts';
import { FileServerProgram } from './file-server-lab.ts';
import { Files, until } from './serve-lab.ts';

// Not every character: aria2 1.37 saves &amp; in a name as &#38;.
const NAME = 'Ordner/Über <Wolken> "1".bin';
const SIZE = 24 * MIB + 12_345;
const withoutAria2 = spawnSync('aria2c', ['--version']).error === undefined ? false : 'there is no aria2c';

/** Real file servers of a real fleet, each with a copy of its own. */
async function startServers(
  test: TestServer,
  resources: AsyncDisposableStack,
  zones: readonly string[],
  content: Buffer,
): Promise<FileServerProgram[]> {
  return Promise.all(
    zones.map(async (zone, at) => {
      const files = resources.use(await Files.of({ [NAME]: content }));
      const server = await FileServerProgram.start([test.url], files.folder, {
        // Hosts of their own, since aria2 opens one connection to each; slow enough that one does not send it all before
        // another is asked.
        args: ['--name', `server-${at}`, '--zone', zone, '--limit', '6M', '--address', `127.0.0.${at + 2}`],
        env: { HEADWATER_JOIN_TOKEN: test.joinToken },
      });
      return resources.use(server);
    }),
  );
}

/** The one file of the fleet, once so many servers hold it. */
async function heldBy(test: TestServer, servers: number): Promise<string> {
  let id: string | undefined;
  await until(async () => {
    const { items } = (await test.ask('GET', '/v1/files')).body as FileList;
    id = items.find(({ holders }) => holders === servers)?.id;
    return id !== undefined;
  });
  assert.ok(id !== undefined);
  return id;
}

async function aria2c(folder: string, ...args: string[]): Promise<{ status: number | null; said: string }> {
  const child = spawn(
    'aria2c',
    ['--no-conf', '--dir', folder, '--file-allocation=none', '--allow-overwrite', ...args],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const [said, [status]] = await Promise.all([
    text(child.stdout),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { status, said };
}

it(
  'aria2c downloads from every server of the fleet with a Metalink, and checks the pieces',
  { skip: withoutAria2 },
  async () => {
    await using resources = new AsyncDisposableStack();
    const test = resources.use(await startTestServer());
    const content = randomBytes(SIZE);
    const zones = ['de-west', 'lan', 'us'];
    const servers = await startServers(test, resources, zones, content);
    const id = await heldBy(test, servers.length);
    const output = resources.use(await Files.of({}));
    const key = (await test.ask('POST', '/v1/api-keys', { name: 'aria2' })).body as { key: string };
    // A session token, and an API key.
    for (const token of [test.admin, key.key]) {
      const { status, headers, body } = await test.ask(
        'GET',
        `/v1/files/${id}/metalink?zone=us`,
        undefined,
        token,
      );
      assert.equal(status, 200);
      assert.equal(headers.get('content-type'), 'application/metalink4+xml');
      assert.equal(headers.get('cache-control'), 'no-store');
      const metalink = String(body);
      assert.match(metalink, new RegExp(`<size>${SIZE}</size>`));
      assert.equal([...metalink.matchAll(/<hash>[0-9a-f]{64}<\/hash>/g)].length, 25);
      assert.match(metalink, /<url location="us" priority="1">/);
      assert.match(metalink, /<url location="de" priority="[23]">/);
      assert.match(metalink, /<url priority="[23]">/);
      await writeFile(output.path('file.meta4'), metalink);
      const { status: ended, said } = await aria2c(
        output.folder,
        '--min-split-size=1M',
        '--split=6',
        '--check-integrity=true',
        '--metalink-file',
        output.path('file.meta4'),
      );
      assert.equal(ended, 0, said);
      assert.deepEqual((await readdir(output.folder)).sort(), ['file.meta4', 'Über <Wolken> "1".bin'].sort());
      assert.ok((await readFile(output.path('Über <Wolken> "1".bin'))).equals(content));
    }
    for (const server of servers) await until(() => Number(server.status['bytesSent']) > MIB);
    // One is killed: the others give the file.
    await servers[0]?.kill();
    const again = await aria2c(
      output.folder,
      '--min-split-size=1M',
      '--split=6',
      '--max-tries=2',
      '--metalink-file',
      output.path('file.meta4'),
    );
    assert.equal(again.status, 0, again.said);
    assert.ok((await readFile(output.path('Über <Wolken> "1".bin'))).equals(content));
  },
);

it('a Metalink of a file that nobody can send now says so', async () => {
  await using resources = new AsyncDisposableStack();
  const test = resources.use(await startTestServer());
  const [server] = await startServers(test, resources, ['lan'], randomBytes(10));
  const id = await heldBy(test, 1);
  const { servers } = (await test.ask('GET', `/v1/files/${id}`)).body as FileDetails;
  assert.equal((await test.ask('POST', `/v1/servers/${servers[0]?.id}/pause`)).status, 200);
  const { status, body, headers } = await test.ask('GET', `/v1/files/${id}/metalink`);
  assert.deepEqual([status, (body as { code: string }).code], [503, 'HW_SOURCES_LOST']);
  assert.equal(headers.get('retry-after'), '5');
  await server?.kill();
});
