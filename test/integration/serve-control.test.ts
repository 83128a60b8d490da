import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { describe, test } from 'node:test';

import { ask, Files, Program, Served, type Answer } from './serve-lab.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const TOKEN = 'a-token-of-some-length';

function post(url: string, path: string, headers: Record<string, string> = JSON_TYPE): Promise<Answer> {
  return ask(url, path, headers, { method: 'POST' });
}

function value(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.body.toString()) as Record<string, unknown>;
}

async function controlled(token?: string) {
  const control = token === undefined ? { port: 0 } : { port: 0, token };
  const served = await Served.of({ file: 'content' }, { count: 2, control });
  const { control: url } = served.serving;
  assert.ok(url !== undefined);
  return Object.assign(served, { controlUrl: url });
}

describe('the control API', () => {
  test('shows the servers', async () => {
    await using served = await controlled();
    const all = await ask(served.controlUrl, '/v1/servers');
    assert.equal(all.status, 200);
    assert.deepEqual(value(all), { servers: served.serving.servers.map((each) => each.status()) });
    const one = value(await ask(served.controlUrl, '/v1/servers/2'));
    assert.equal(one['id'], 2);
    assert.equal(one['state'], 'running');
  });

  test('pauses, resumes and ends them', async () => {
    await using served = await controlled();
    assert.equal(value(await post(served.controlUrl, '/v1/servers/1/pause'))['state'], 'paused');
    assert.equal((await served.ask('/file')).status, 503);
    assert.equal(value(await post(served.controlUrl, '/v1/servers/1/resume'))['state'], 'running');
    assert.equal((await served.ask('/file')).status, 200);
    const ended = value(await post(served.controlUrl, '/v1/servers/1/end'))['state'];
    assert.ok(ended === 'ending' || ended === 'ended');
    await served.server.end();
    assert.equal(value(await ask(served.controlUrl, '/v1/servers/1'))['state'], 'ended');
    // The last one's end is the end of all, which is answered before.
    const last = await post(served.controlUrl, '/v1/servers/2/end');
    assert.equal(last.status, 200);
    await served.serving.closed;
    await assert.rejects(ask(served.controlUrl, '/v1/servers'), { code: 'ECONNREFUSED' });
  });

  for (const [method, path, status, code] of [
    ['GET', '/', 404, 'HW_NOT_FOUND'],
    ['GET', '/v1/servers/3', 404, 'HW_NOT_FOUND'],
    ['POST', '/v1/servers/3/pause', 404, 'HW_NOT_FOUND'],
    ['POST', '/v1/servers/1/explode', 404, 'HW_NOT_FOUND'],
    ['GET', '/v1/servers/1/pause', 405, 'HW_METHOD'],
    ['POST', '/v1/servers', 405, 'HW_METHOD'],
    ['DELETE', '/v1/servers/1', 405, 'HW_METHOD'],
  ] as const) {
    test(`answers ${status} to ${method} ${path}`, async () => {
      await using served = await controlled();
      const answer = await ask(served.controlUrl, path, JSON_TYPE, { method });
      assert.equal(answer.status, status);
      assert.equal(value(answer)['code'], code);
      if (status === 405) assert.match(answer.headers.allow ?? '', /^(GET|POST)$/);
    });
  }

  test('refuses whatever a page in a browser could send', async () => {
    await using served = await controlled();
    const pause = '/v1/servers/1/pause';
    for (const headers of [
      // A form, or a script that asks nobody first.
      { 'Content-Type': 'text/plain' },
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      {},
      // A script that was let through by something in between.
      { ...JSON_TYPE, Origin: 'http://evil.example' },
      { ...JSON_TYPE, Origin: 'null' },
      // A name of somebody else's that leads to loopback.
      { ...JSON_TYPE, Host: 'evil.example' },
      { ...JSON_TYPE, Host: '127.0.0.1.evil.example' },
    ] as Record<string, string>[]) {
      const answer = await post(served.controlUrl, pause, headers);
      assert.equal(answer.status, 403, JSON.stringify(headers));
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
    }
    assert.equal((await ask(served.controlUrl, '/v1/servers', { Host: 'evil.example' })).status, 403);
    assert.equal(served.server.state, 'running');
    const preflight = await ask(
      served.controlUrl,
      pause,
      { Origin: 'http://evil.example' },
      { method: 'OPTIONS' },
    );
    assert.equal(preflight.status, 403);
    for (const Host of ['localhost', '127.0.0.1:80', '[::1]:9']) {
      assert.equal((await ask(served.controlUrl, '/v1/servers', { Host })).status, 200);
    }
  });

  test('listens on loopback only unless there is a token', async () => {
    const files = await Files.of({ file: 'x' });
    const { serve } = await import('../../src/file-server/serve.ts');
    const options = { ports: [0], cache: false } as const;
    await using open = await serve([files.folder], { ...options, control: { port: 0 } });
    await using closed = await serve([files.folder], { ...options, control: { port: 0, token: TOKEN } });
    assert.equal(new URL(open.control ?? '').hostname, '127.0.0.1');
    const own = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.family === 'IPv4' && !each.internal);
    if (own !== undefined) {
      const elsewhere = (url = '') => url.replace(new URL(url).hostname, own.address);
      await assert.rejects(ask(elsewhere(open.control), '/v1/servers'), { code: 'ECONNREFUSED' });
      assert.equal((await ask(elsewhere(closed.control), '/v1/servers')).status, 401);
    }
    await files[Symbol.asyncDispose]();
  });

  test('asks for its token', async () => {
    await using served = await controlled(TOKEN);
    for (const headers of [{}, { Authorization: 'Bearer wrong' }, { Authorization: TOKEN }] as Record<
      string,
      string
    >[]) {
      const answer = await post(served.controlUrl, '/v1/servers/1/pause', { ...JSON_TYPE, ...headers });
      assert.equal(answer.status, 401);
      assert.equal(answer.headers['www-authenticate'], 'Bearer');
      assert.equal(value(answer)['code'], 'HW_NOT_ALLOWED');
    }
    assert.equal(served.server.state, 'running');
    const headers = { ...JSON_TYPE, Authorization: `Bearer ${TOKEN}`, Host: 'anything' };
    assert.equal((await post(served.controlUrl, '/v1/servers/1/pause', headers)).status, 200);
    assert.equal(served.server.state, 'paused');
  });
});

describe('the program', () => {
  for (const how of ['a file', 'the environment'] as const) {
    test(`takes the token from ${how}`, async () => {
      await using files = await Files.of({ file: 'x', '.token': `${TOKEN}\n` });
      const inFile = how === 'a file';
      const args = ['serve', files.folder, '-a', '127.0.0.1', '-p', '0', '--json', '--control', '0'];
      await using program = new Program(
        [...args, ...(inFile ? ['--control-token-file', files.path('.token')] : [])],
        {
          XDG_CACHE_HOME: files.path('.cache'),
          HEADWATER_CONTROL_TOKEN: inFile ? 'another one that is long' : TOKEN,
        },
      );
      const { control } = JSON.parse(await program.line('"event":"ready"')) as { control: string };
      assert.equal((await ask(control, '/v1/servers')).status, 401);
      assert.equal((await ask(control, '/v1/servers', { Authorization: `Bearer ${TOKEN}` })).status, 200);
    });
  }

  test('refuses a token that could be guessed', async () => {
    await using files = await Files.of({ file: 'x' });
    await writeFile(files.path('.token'), 'short');
    await using program = new Program(
      ['serve', files.folder, '--control', '0', '--control-token-file', files.path('.token')],
      {},
    );
    assert.equal(await program.exited, 2);
    assert.match(program.complaints.join(), /at least 16/);
  });
});
