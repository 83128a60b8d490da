import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { rawConnection, readToEnd, Served } from './serve-lab.ts';

let served: Served;
let parent: Served;
before(async () => {
  // The folder that is served is one inside another, so that there is an outside to lead to.
  parent = await Served.of({ 'secret.txt': 'secret', 'inner/open.txt': 'open' });
  const inner = parent.files.path('inner');
  await mkdir(join(inner, '.git'));
  await mkdir(join(inner, 'folder'));
  await writeFile(join(inner, '.hidden'), 'secret');
  await writeFile(join(inner, '.git', 'config'), 'secret');
  await writeFile(join(inner, 'folder', 'plain.txt'), 'open');
  await symlink('../secret.txt', join(inner, 'out'));
  await symlink(parent.files.path('secret.txt'), join(inner, 'out-absolute'));
  await symlink('..', join(inner, 'up'));
  await symlink('.hidden', join(inner, 'to-hidden'));
  await symlink('.git', join(inner, 'git'));
  await symlink('nowhere', join(inner, 'dead'));
  await symlink('loop', join(inner, 'loop'));
  await symlink('open.txt', join(inner, 'inside'));
  await symlink('folder', join(inner, 'inside-folder'));
  execFileSync('mkfifo', [join(inner, 'pipe')]);
  served = await Served.of({}, {});
  await served.serving.close(0);
  const { serve } = await import('../../src/file-server/serve.ts');
  const serving = await serve([inner], { ports: [0], address: '127.0.0.1', cache: false });
  await serving.hashed;
  Object.assign(served, { serving });
});
after(async () => {
  await served[Symbol.asyncDispose]();
  await parent[Symbol.asyncDispose]();
});

describe('what is not served', () => {
  const paths = [
    '/../secret.txt',
    '/./../secret.txt',
    '/folder/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/%2e%2e%2fsecret.txt',
    '/..%2fsecret.txt',
    '/..%5csecret.txt',
    String.raw`/..\secret.txt`,
    '/%252e%252e/secret.txt',
    '/%c0%ae%c0%ae/secret.txt',
    '//etc/passwd',
    '/%2fetc%2fpasswd',
    '/open.txt%00',
    '/open.txt%00.png',
    '/.hidden',
    '/%2ehidden',
    '/.git/config',
    '/git/config',
    '/to-hidden',
    '/out',
    '/out-absolute',
    '/up/secret.txt',
    '/up/inner/open.txt',
    '/dead',
    '/loop',
    '/pipe',
    '/folder',
    '/folder/',
    '/open.txt/',
    '/open.txt/x',
    `/${'a'.repeat(5000)}`,
    `/${'a/'.repeat(2500)}b`,
    '/nothing',
  ];
  for (const path of paths) {
    test(`${path.slice(0, 40)} is not found, and no more is said`, async () => {
      for (const query of ['', '?manifest']) {
        const { status, body } = await served.ask(path + query);
        assert.equal(status, 404);
        assert.deepEqual(JSON.parse(body.toString()), {
          code: 'HW_NOT_FOUND',
          message: 'nothing is served under this name',
          details: {},
        });
      }
    });
  }

  test('is not listed', async () => {
    const { files } = JSON.parse((await served.ask('/')).body.toString()) as { files: { name: string }[] };
    assert.deepEqual(
      files.map(({ name }) => name),
      ['folder/plain.txt', 'inside', 'open.txt'],
    );
  });

  test('leaves what is served alone', async () => {
    for (const path of ['/open.txt', '/inside', '/inside-folder/plain.txt']) {
      assert.equal((await served.ask(path)).body.toString(), 'open', path);
    }
  });

  test('cannot be reached by a folder that becomes a link while it is asked for', async () => {
    const inner = parent.files.path('inner');
    const stop = new AbortController();
    const swapping = (async () => {
      await mkdir(join(inner, 'real'));
      await writeFile(join(inner, 'real', 'secret.txt'), 'open');
      const { rename } = await import('node:fs/promises');
      await symlink('..', join(inner, 'link'));
      while (!stop.signal.aborted) {
        await rename(join(inner, 'real'), join(inner, 'swap'));
        await rename(join(inner, 'swap'), join(inner, 'real'));
        await rename(join(inner, 'link'), join(inner, 'swap'));
        await rename(join(inner, 'swap'), join(inner, 'link'));
      }
    })();
    for (let turn = 0; turn < 200; turn++) {
      const answer = await served.ask('/swap/secret.txt');
      assert.ok(!answer.body.includes('secret'), answer.body.toString());
    }
    stop.abort();
    await swapping;
  });
});

describe('what is no request', () => {
  for (const [what, text, status] of [
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['no Host', 'GET /open.txt HTTP/1.1\r\n\r\n', 400],
    ['two lengths', 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'length and chunks',
      'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n', 400],
    ['a head that is too long', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ] as const) {
    test(`${what} gives ${status} and ends the connection`, async () => {
      const socket = await rawConnection(served.url);
      socket.write(text);
      assert.match(await readToEnd(socket), new RegExp(`^HTTP/1.1 ${status} `));
    });
  }

  test('no field is dropped without a word, however many there are', async () => {
    const socket = await rawConnection(served.url);
    const many = Array.from({ length: 3000 }, (_, index) => `A:${index % 10}\r\n`).join('');
    socket.write(
      `GET /open.txt HTTP/1.1\r\nHost: x\r\n${many.slice(0, 14_000 - (14_000 % 5))}Range: bytes=1-2\r\nConnection: close\r\n\r\n`,
    );
    const text = await readToEnd(socket);
    assert.match(text, /^HTTP\/1.1 206 /);
    assert.ok(text.endsWith('\r\n\r\npe'));
  });
});
