import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { upCommand } from '../../../src/cli/up.ts';
import { planOf, stateOf, type UpPlan } from '../../../src/cli/up/plan.ts';
import { readUpRequest, type RawUpOptions, type UpRequest } from '../../../src/cli/up/up-request.ts';

const page = readFileSync(new URL('../../../docs/fleet.md', import.meta.url), 'utf8');

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-plan-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function request(data: string, raw: Partial<RawUpOptions> = {}): UpRequest {
  return readUpRequest({ interval: 1, data, port: 0, ...raw }, {});
}

const ports = ({ informationServers, servers }: UpPlan): number[] =>
  [...informationServers, ...servers].map(({ port }) => port);

test('docs/fleet.md tells of every option of up, and of no other', () => {
  const [, section = ''] = page.split('## On one machine');
  const [table = ''] = section.split('## On many machines');
  const told = [...table.matchAll(/^\| `.*?` \|/gm)].flatMap(([row]) => row.match(/--[a-z0-9-]+/g) ?? []);
  const options = upCommand().options.map(({ long }) => long);
  assert.deepEqual(new Set(told), new Set(options));
});

test('zones go round, and every server has a port of its own', async (t) => {
  const data = await folderOf(t);
  const plan = await planOf(
    request(data, { servers: 5, zones: ['x', 'y'], informationServers: 2 }),
    undefined,
  );
  assert.deepEqual(
    plan.servers.map(({ name, zone }) => `${name} ${zone}`),
    ['server-1 x', 'server-2 y', 'server-3 x', 'server-4 y', 'server-5 x'],
  );
  assert.equal(new Set(ports(plan)).size, 7);
  assert.deepEqual(plan.folders, [join(data, 'files')]);
});

test('what is not said is as it was, and what is said is so', async (t) => {
  const data = await folderOf(t);
  const first = await planOf(request(data, { servers: 2, zones: ['x'], limit: 1_000 }), undefined);
  const again = await planOf(request(data), stateOf(first, []));
  assert.deepEqual(again, first);
  const more = await planOf(request(data, { servers: 3, limit: Infinity }), stateOf(first, []));
  assert.deepEqual(more.servers.slice(0, 2), first.servers);
  assert.equal(more.servers[2]?.zone, 'x');
  assert.equal(more.limit, undefined);
  assert.deepEqual(more.notes, []);
});

test('a port that something else has by now is replaced, and that is said', async (t) => {
  const data = await folderOf(t);
  const first = await planOf(request(data, { servers: 2 }), undefined);
  const taken = first.servers[0]?.port ?? 0;
  const server = createServer().listen(taken, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const again = await planOf(request(data), stateOf(first, []));
  assert.notEqual(again.servers[0]?.port, taken);
  assert.deepEqual(again.servers[1], first.servers[1]);
  assert.match(again.notes.join(), new RegExp(`^server-1 had port ${taken}, which is taken`));
});

test('a port that was named and is taken is refused', async (t) => {
  const data = await folderOf(t);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  await assert.rejects(planOf(request(data, { port }), undefined), {
    code: 'HW_LISTEN',
    message: new RegExp(`^port ${port} of 127\\.0\\.0\\.1: something listens there already`),
  });
});

test("a folder that has the fleet's own data in it is refused, but for a hidden one, which is not served", async (t) => {
  const folder = await folderOf(t);
  const refused = planOf(request(join(folder, 'fleet'), { folder: [folder] }), undefined);
  await assert.rejects(refused, { code: 'HW_USAGE', message: /would hand out the fleet's own data/ });
  await assert.rejects(planOf(request(folder, { folder: [folder] }), undefined), { code: 'HW_USAGE' });
  await planOf(request(join(folder, '.fleet'), { folder: [folder] }), undefined);
});

test('an address that nobody can be sent to is refused', () => {
  assert.throws(() => request('/tmp/x', { address: '0.0.0.0' }), { code: 'HW_USAGE' });
});
