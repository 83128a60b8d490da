import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, it } from 'node:test';

import { startInformationServer } from '../../src/information-server/information-server.ts';
import { asRoot, Mounted } from '../faults/local/mounted.ts';
import { CutLine } from '../unit/database/cut-line.ts';
import { withoutPostgres } from '../unit/database/each-database.ts';
import { ask, startTestServer } from './start.ts';

const PASSWORD = 'correct horse battery';

describe('an information server whose PostgreSQL is away', { skip: withoutPostgres }, () => {
  it('answers 503 for the 10 s, leads no more, and goes on afterwards with nothing lost', async () => {
    await using test = await startTestServer('postgresql');
    await using line = await CutLine.to(test.where);
    const server = await test.another({ database: line.through(test.where) });
    await test.server.close();
    const asked = (method: string, path: string, body?: unknown) =>
      ask(`${server.url}${path}`, method, body, test.admin);
    await until(() => server.isLeader);
    line.cut();
    const began = performance.now();
    let made = 0;
    while (performance.now() - began < 10_000) {
      const { status, body, headers } = await asked('POST', '/v1/users', user(made));
      assert.equal(status, 503, JSON.stringify(body));
      assert.equal((body as { code: string }).code, 'HW_DATABASE');
      assert.equal(headers.get('retry-after'), '1');
      assert.equal((await asked('GET', '/healthz')).status, 200);
      const ready = await asked('GET', '/readyz');
      assert.equal(ready.status, 503);
      assert.equal((ready.body as { database: boolean }).database, false);
    }
    assert.equal(server.isLeader, false);
    line.mend();
    for (; made < 3; made++) assert.equal((await asked('POST', '/v1/users', user(made))).status, 201);
    await until(() => server.isLeader);
    assert.equal((await asked('GET', '/readyz')).status, 200);
    const users = await test.database.queries.selectFrom('users').select('email').execute();
    assert.equal(users.length, 1 + 3);
  });

  it('waits for it at the start', async () => {
    await using test = await startTestServer('postgresql');
    await using line = await CutLine.to(test.where);
    line.cut();
    const starting = test.another({ database: line.through(test.where) });
    const first = await Promise.race([
      starting,
      new Promise((resolve) => setTimeout(resolve, 1_500, 'waits')),
    ]);
    assert.equal(first, 'waits');
    line.mend();
    assert.equal((await fetch(`${(await starting).url}/readyz`)).status, 200);
  });
});

it(
  'an information server on a full disk reads on, says so, and writes again when there is space',
  asRoot,
  async () => {
    await using disk = await Mounted.with('size=4m');
    await using server = await startInformationServer({
      data: disk.folder,
      address: '127.0.0.1',
      port: 0,
      admin: { email: 'a@example.org', password: PASSWORD },
    });
    const login = () =>
      ask(`${server.url}/v1/auth/login`, 'POST', { email: 'a@example.org', password: PASSWORD });
    const { token } = (await login()).body as { token: string };
    const fill = spawn('dd', ['if=/dev/zero', `of=${disk.folder}/filler`, 'bs=4k'], { stdio: 'ignore' });
    await new Promise((resolve) => fill.on('close', resolve));
    let refused: unknown;
    // What the log of changes has room for still fits.
    for (let index = 0; index < 2_000 && refused === undefined; index++) {
      const name = 'k'.repeat(100);
      const { status, body } = await ask(`${server.url}/v1/api-keys`, 'POST', { name }, token);
      if (status !== 201) refused = { status, code: (body as { code: string }).code };
    }
    assert.deepEqual(refused, { status: 507, code: 'HW_DISK_FULL' });
    const kept = await ask(`${server.url}/v1/api-keys?limit=1000`, 'GET', undefined, token);
    assert.equal(kept.status, 200);
    await disk.become('size=32m');
    assert.equal((await login()).status, 200);
    await until(() => server.isLeader);
  },
);

function user(index: number) {
  return { email: `u${index}@example.org`, role: 'reader', password: PASSWORD };
}

async function until(done: () => boolean): Promise<void> {
  const began = performance.now();
  while (!done()) {
    assert.ok(performance.now() - began < 30_000, 'what was waited for never came');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
