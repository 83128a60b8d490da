import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { codeOf, FileServerProgram, JOIN_TOKEN } from './file-server-lab.ts';
import { ask, Files, Program, until, type Answer } from './serve-lab.ts';

const EMAIL = 'admin@fleet.example';
const PASSWORD = 'a password for this test';

interface Entry {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly holders: number;
}

/** A real information server, with an admin who is logged in. */
class Fleet implements AsyncDisposable {
  readonly url: string;
  readonly #program: Program;
  #token = '';

  private constructor(program: Program, url: string) {
    this.#program = program;
    this.url = url;
  }

  static async start(data: string, port = '0'): Promise<Fleet> {
    const program = new Program(
      ['information-server', '--data', data, '-p', port, '-a', '127.0.0.1', '--json'],
      {
        HEADWATER_JOIN_TOKEN: JOIN_TOKEN,
        HEADWATER_ADMIN_EMAIL: EMAIL,
        HEADWATER_ADMIN_PASSWORD: PASSWORD,
      },
    );
    const { url } = JSON.parse(await program.line('"ready"')) as { url: string };
    const fleet = new Fleet(program, url);
    const login = await fleet.call('POST', 'auth/login', { email: EMAIL, password: PASSWORD });
    fleet.#token = String(login['token']);
    return fleet;
  }

  async call(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.url}/v1/${path}`, {
      method,
      headers: {
        ...(this.#token !== '' && { authorization: `Bearer ${this.#token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  async list(what: 'files' | 'servers'): Promise<Entry[]> {
    return (await this.call('GET', what))['items'] as Entry[];
  }

  async file(name: string): Promise<Entry> {
    let found: Entry | undefined;
    await until(async () => {
      found = (await this.list('files')).find((each) => each.name === name);
      return found !== undefined;
    });
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  async download(id: string) {
    const told = await this.call('POST', `files/${id}/downloads`, {});
    const sources = told['sources'] as { url: string; name: string; state: string; has: unknown }[];
    return { id: String(told['id']), token: String(told['token']), sources };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#program.process.kill('SIGKILL');
    await this.#program.exited;
  }
}

function fetched(url: string, token: string, headers: Record<string, string> = {}): Promise<Answer> {
  const { origin, pathname } = new URL(url);
  return ask(origin, pathname, { authorization: `Bearer ${token}`, ...headers });
}

describe('file servers and an information server', () => {
  test('give a file out of every server that holds it, and do what operators and owners say', async () => {
    const content = randomBytes(3 * MIB + 5);
    await using data = await Files.of({});
    await using files = await Files.of({ 'dir/big.bin': content, 'a.txt': 'a' });
    await using more = await Files.of({ 'copy.bin': content });
    await using fleet = await Fleet.start(data.folder);
    await using one = await FileServerProgram.start([fleet.url], files.folder);
    await one.event('announced', ({ files: count }) => count === 2);
    await using two = await FileServerProgram.start([fleet.url], more.folder, {
      args: ['--name', 'two', '--zone', 'east'],
    });
    await two.event('announced', ({ files: count }) => count === 1);
    const big = await fleet.file('dir/big.bin');
    await until(async () => (await fleet.file('dir/big.bin')).holders === 2);
    assert.deepEqual((await fleet.list('files')).map(({ name }) => name).sort(), ['a.txt', 'dir/big.bin']);
    const download = await fleet.download(big.id);
    assert.deepEqual(download.sources.map(({ name }) => name).sort(), ['one', 'two']);
    for (const { url } of download.sources) {
      assert.ok((await fetched(url, download.token)).body.equals(content));
    }

    const stateOf = async (name: string) =>
      (await fleet.list('servers')).find((each) => each.name === name)?.state;
    const [first] = download.sources.filter(({ name }) => name === 'one');
    const url = first?.url ?? '';
    await fleet.call('POST', 'servers/one/pause');
    await until(async () => (await stateOf('one')) === 'paused');
    assert.equal((await fetched(url, download.token)).status, 503);
    await fleet.call('POST', 'servers/one/resume');
    await until(async () => (await stateOf('one')) === 'running');
    two.program.say('p');
    await until(async () => (await stateOf('two')) === 'paused');

    await fleet.call('PATCH', `files/${big.id}`, { name: 'renamed.bin' });
    await until(async () =>
      String((await fetched(url, download.token)).headers['content-disposition']).includes('renamed.bin'),
    );
    const other = await fleet.download(big.id);
    await fleet.call('DELETE', `downloads/${download.id}`);
    await until(async () => (await fetched(url, download.token)).status === 403);
    assert.equal((await fetched(url, other.token)).status, 200);

    await fleet.call('DELETE', `files/${big.id}`);
    await until(async () => codeOf(await fetched(url, other.token)) === 'HW_GRANT_REVOKED');
    await one.kill();
    await using again = await FileServerProgram.start([fleet.url], files.folder, { data: one.data });
    await again.event('ready');
    await files.write('b.txt', 'b');
    await fleet.file('b.txt');
    assert.deepEqual((await fleet.list('files')).map(({ name }) => name).sort(), ['a.txt', 'b.txt']);

    await fleet.call('POST', 'servers/one/stop');
    assert.equal(await again.program.exited, 0);
    await until(async () => (await stateOf('one')) === 'stopped');
  });

  test('find each other again when the information server was killed and started anew', async () => {
    await using data = await Files.of({});
    await using files = await Files.of({ 'a.txt': 'a' });
    const first = await Fleet.start(data.folder);
    const { port } = new URL(first.url);
    await using server = await FileServerProgram.start([first.url], files.folder);
    await server.event('announced', ({ files: count }) => count === 1);
    const { id } = await first.file('a.txt');
    const { token, sources } = await first.download(id);
    await first[Symbol.asyncDispose]();
    assert.equal((await fetched(sources[0]?.url ?? '', token)).body.toString(), 'a');
    await files.write('b.txt', 'b');
    await using second = await Fleet.start(data.folder, port);
    await second.file('b.txt');
    assert.equal((await second.list('servers')).length, 1);
  });
});
