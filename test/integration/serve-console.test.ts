import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { ask, Files, open, Program, until } from './serve-lab.ts';

interface Line {
  readonly event: string;
  readonly id?: number;
  readonly state?: string;
  readonly message?: string;
  readonly control?: string;
  readonly names?: readonly string[];
  readonly servers?: readonly { id: number; url: string; port: number; state: string; bytesSent: number }[];
}

let files: Files;
before(async () => {
  files = await Files.of({ file: randomBytes(2 * MIB), 'two words': 'x', large: randomBytes(64 * MIB) });
});
after(() => files[Symbol.asyncDispose]());

/** `headwater serve` of the folder on free ports of loopback. */
function start(...args: string[]): Program {
  const env = { XDG_CACHE_HOME: files.path('.cache'), NO_COLOR: '1' };
  return new Program(['serve', files.folder, '-a', '127.0.0.1', '-p', '0', ...args], env);
}

const parse = (line: string) => JSON.parse(line) as Line;

async function ready(program: Program): Promise<Line> {
  return parse(await program.line('"event":"ready"'));
}

async function state(program: Program, id: number, wanted: string): Promise<void> {
  await program.line(new RegExp(`"event":"state","id":${id},.*"state":"${wanted}"`));
}

async function whenHashed(url: string): Promise<void> {
  await until(async () => (await ask(url, '/large', {}, { method: 'HEAD' })).status === 200);
}

describe('the console', () => {
  test('pauses, resumes and ends servers by number, in either way of saying it', async () => {
    await using program = start('-n', '3', '--json');
    const { servers = [], names } = await ready(program);
    assert.deepEqual(names, ['file', 'large', 'two words']);
    assert.deepEqual(
      servers.map(({ id, state }) => [id, state]),
      [1, 2, 3].map((id) => [id, 'running']),
    );
    for (const [pause, resume, end, index] of [
      ['1', 'r1', 'e1', 0],
      ['pause 2', 'resume 2', 'end 2', 1],
      [' PAUSE  3 ', 'R 3', 'E3', 2],
    ] as const) {
      const { id = 0, url = '' } = servers[index] ?? {};
      program.say(pause);
      await state(program, id, 'paused');
      assert.equal((await ask(url, '/')).status, 503);
      program.say(resume);
      await state(program, id, 'running');
      assert.equal((await ask(url, '/')).status, 200);
      program.say(end);
      await state(program, id, 'ended');
      await assert.rejects(ask(url, '/'), { code: 'ECONNREFUSED' });
    }
    // The last one has ended, and with it the program.
    assert.equal(await program.exited, 0);
    assert.equal(parse(program.lines.at(-1) ?? '').event, 'end');
  });

  test('ends all by quit', async () => {
    await using program = start('-n', '2', '--json');
    await ready(program);
    program.say('quit');
    assert.equal(await program.exited, 0);
    const ended = program.lines.map(parse).filter((line) => line.state === 'ended');
    assert.deepEqual(
      ended.map(({ id }) => id),
      [1, 2],
    );
  });

  test('prints the table when asked, by s or by an empty line', async () => {
    await using program = start('-n', '2', '-i', '3600');
    await program.line('Serving 3 files');
    for (const line of ['s', '', 'status']) {
      const from = program.lines.length;
      program.say(line);
      assert.match(
        await program.line('server 2', from),
        /^server 2, port \d+: running, 0 clients, 0 B sent, 0 B\/s$/,
      );
    }
    program.say('q');
    assert.equal(await program.exited, 0);
  });

  test('says what it does not understand, and serves on', async () => {
    await using program = start('--json');
    const { servers = [] } = await ready(program);
    for (const wrong of ['7', 'stop everything', '-1', 'r', '1 2']) {
      const from = program.lines.length;
      program.say(wrong);
      const { message } = parse(await program.line('"event":"console"', from));
      assert.match(message ?? '', /is no command|there is no server 7/);
    }
    assert.equal((await ask(servers[0]?.url ?? '', '/')).status, 200);
  });

  test('can be closed while the servers go on', async () => {
    await using program = start('--json', '-i', '0.1');
    const { servers = [] } = await ready(program);
    program.process.stdin?.end();
    const from = program.lines.length;
    await until(() => program.lines.length >= from + 3);
    assert.equal((await ask(servers[0]?.url ?? '', '/')).status, 200);
    program.process.kill('SIGTERM');
    assert.equal(await program.exited, 0);
  });

  test('holds back the rest of an answer and then gives it', async () => {
    await using program = start('--json');
    const url = (await ready(program)).servers?.[0]?.url ?? '';
    await whenHashed(url);
    const response = await open(url, '/large');
    response.pause();
    program.say('1');
    await state(program, 1, 'paused');
    let bytes = 0;
    response.on('data', (part: Buffer) => {
      bytes += part.length;
    });
    response.resume();
    for (let before = -1; before !== bytes;) {
      before = bytes;
      await new Promise((resolve) => {
        setTimeout(resolve, 250);
      });
    }
    assert.ok(bytes < 48 * MIB, `${bytes}`);
    program.say('r1');
    await once(response, 'end');
    assert.equal(bytes, 64 * MIB);
  });
});

describe('the status', () => {
  test('comes every interval, with what was sent', async () => {
    await using program = start('--json', '-i', '0.2');
    const url = (await ready(program)).servers?.[0]?.url ?? '';
    await until(async () => (await ask(url, '/file')).status === 200);
    const told = await program.line(/"event":"status".*"bytesSent":[1-9]/);
    assert.ok((parse(told).servers?.[0]?.bytesSent ?? 0) <= 2 * MIB);
    const from = program.lines.length;
    const begun = performance.now();
    await until(() => program.lines.length >= from + 5);
    const seconds = (performance.now() - begun) / 1000;
    assert.ok(seconds > 0.7, `${seconds}`);
  });

  test('is a line for each server where there is no terminal', async () => {
    await using program = start('-n', '2', '-i', '0.1');
    const get = await program.line('headwater get');
    assert.match(get, /^ {2}headwater get http:\/\/127\.0\.0\.1:\d+\/file http:\/\/127\.0\.0\.1:\d+\/file$/);
    await program.line(/^server 2, port \d+: running/);
  });
});

describe('the end', () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`by ${signal} is clean`, async () => {
      await using program = start('-n', '2', '--json');
      await ready(program);
      program.process.kill(signal);
      assert.equal(await program.exited, 0);
      assert.equal(parse(program.lines.at(-1) ?? '').event, 'end');
      assert.deepEqual(program.complaints, []);
    });
  }

  test('waits a little for what is under way; a second signal does not', async () => {
    await using program = start('--json');
    const url = (await ready(program)).servers?.[0]?.url ?? '';
    await whenHashed(url);
    const response = await open(url, '/large');
    response.on('error', () => undefined).pause();
    program.process.kill('SIGINT');
    await state(program, 1, 'ending');
    assert.equal(program.process.exitCode, null);
    // A second signal that comes at once could be the first one passed on.
    await new Promise((resolve) => {
      setTimeout(resolve, 150);
    });
    program.process.kill('SIGINT');
    assert.equal(await program.exited, 130);
  });
});

describe('a wrong command line', () => {
  for (const [args, complaint] of [
    [[], /PATH/],
    [['/no/such/file'], /there is no \/no\/such\/file/],
    [['/dev/null'], /neither a file nor a folder/],
    [['.', '-n', '0'], /--count takes a whole number from 1 to 256; not "0"/],
    [['.', '-n', '1', '-p', '1,2'], /2 ports were given for 1 servers/],
    [['.', '-p', 'x'], /--port takes ports/],
    [['.', '-p', '70000'], /--port takes ports/],
    [['.', '-i', '-1'], /--interval takes seconds/],
    [['.', '--limit', 'fast'], /--limit takes bytes a second/],
    [['.', '--tls-cert', 'x'], /--tls-cert and --tls-key/],
    [['.', '--tls-cert', '/none', '--tls-key', '/none'], /--tls-cert takes a file/],
    [['.', '--tls-cert', '/etc/passwd', '--tls-key', '/etc/passwd'], /certificate and key cannot be used/],
    [['.', '--control-token-file', '/none'], /only with --control/],
    [['.', '--log', 'loud'], /--log/],
    [['.', '-a', '192.0.2.1'], /192\.0\.2\.1 is not an address of this machine/],
    [['.', '--colour'], /--colour/],
  ] as const) {
    test(`(${args.join(' ')}) gets one line and status 2`, async () => {
      await using program = new Program(['serve', ...args], { XDG_CACHE_HOME: files.path('.cache') });
      assert.equal(await program.exited, 2);
      assert.equal(program.complaints.length, 1, program.complaints.join('\n'));
      assert.match(program.complaints[0] ?? '', complaint);
      assert.deepEqual(program.lines, []);
    });
  }

  test('with a port that is taken names it, and leaves nothing behind', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await using program = new Program(['serve', files.folder, '-a', '127.0.0.1', '-p', `0,${port}`], {
      XDG_CACHE_HOME: files.path('.cache'),
    });
    assert.equal(await program.exited, 2);
    assert.match(
      program.complaints.join(),
      new RegExp(`port ${port} on 127.0.0.1 is in use \\(HW_LISTEN\\)`),
    );
    other.close();
  });

  test('that wants more ports than it names takes the free ones above', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    await using program = new Program(
      ['serve', files.folder, '-a', '127.0.0.1', '-p', String(port - 1), '-n', '2', '--json'],
      { XDG_CACHE_HOME: files.path('.cache') },
    );
    const { servers = [] } = await ready(program);
    assert.equal(servers[0]?.port, port - 1);
    assert.ok((servers[1]?.port ?? 0) > port);
    other.close();
  });
});

describe('the log', () => {
  test('has a line of JSON for every answer, on standard error', async () => {
    await using program = start('--json', '--log', 'info');
    const url = (await ready(program)).servers?.[0]?.url ?? '';
    await ask(url, '/none', { Range: 'bytes=0-1' });
    await until(() => program.complaints.length > 0);
    const line = JSON.parse(program.complaints[0] ?? '') as Record<string, unknown>;
    const { server, client, method, url: path, range, status, msg } = line;
    assert.deepEqual(
      { server, client, method, path, range, status, msg },
      {
        server: 1,
        client: '127.0.0.1',
        method: 'GET',
        path: '/none',
        range: 'bytes=0-1',
        status: 404,
        msg: 'answered',
      },
    );
  });
});
