import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { SigningKey } from '../file-server-lab.ts';
import { ask, rawConnection, readToEnd, until } from '../serve-lab.ts';
import { ChunkFleet, ChunkServer, codeOf, send, sha256, someChunk, storedOf } from './chunk-lab.ts';

describe('a chunk that is sent to a file server', () => {
  let fleet: ChunkFleet;
  let one: ChunkServer;
  let two: ChunkServer;
  let three: ChunkServer;

  before(async () => {
    fleet = await ChunkFleet.start();
    [one, two, three] = await Promise.all([
      ChunkServer.start(fleet),
      ChunkServer.start(fleet),
      ChunkServer.start(fleet),
    ]);
  });

  after(async () => {
    for (const each of [one, two, three, fleet]) await each[Symbol.asyncDispose]();
  });

  it('is stored under its digest, counted, and sent to servers of the fleet', async () => {
    const chunk = someChunk();
    assert.deepEqual(storedOf(await one.put(chunk)), { stored: [one.id], failed: [] });
    assert.deepEqual(await readFile(one.chunkPath(chunk.digest)), chunk.bytes);
    assert.deepEqual(await one.check([sha256('other'), chunk.digest]), [false, true]);
    assert.deepEqual((await one.chunk(chunk.digest)).body, chunk.bytes);
    const before = one.store?.bytes ?? 0;
    await one.put(someChunk(1000));
    await until(() => one.store?.bytes === before + 1000 || (one.store?.bytes ?? 0) >= 1024 * 1024 + 1000);
    assert.equal(one.store?.open, true);
  });

  it('is passed on from one to the next while it arrives', async () => {
    const chunk = someChunk(5_000_001);
    const { stored, failed } = storedOf(await one.put(chunk, [two, three]));
    assert.deepEqual(failed, []);
    assert.deepEqual(stored, [one.id, two.id, three.id]);
    for (const each of [one, two, three]) {
      assert.deepEqual(await readFile(each.chunkPath(chunk.digest)), chunk.bytes);
    }
  });

  it('is passed on by one that has it already', async () => {
    const chunk = someChunk();
    await one.put(chunk);
    const { stored } = storedOf(await one.put(chunk, [two]));
    assert.deepEqual(stored, [one.id, two.id]);
    assert.deepEqual((await two.chunk(chunk.digest)).body, chunk.bytes);
  });

  it('is answered before its bytes when it is here', async () => {
    const chunk = someChunk(10_000_000);
    await one.put(chunk);
    const socket = await rawConnection(one.url);
    socket.write(
      `PUT /v1/chunks/${chunk.digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${fleet.uploadToken()}\r\nContent-Length: 10000000\r\n\r\n`,
    );
    const head = await new Promise<string>((resolve) => {
      socket.once('data', (data) => resolve(String(data)));
    });
    socket.destroy();
    assert.match(head, /^HTTP\/1\.1 200 /);
  });

  it('ends right when it is sent by many at once', async () => {
    const chunk = someChunk(3_000_000);
    const answers = await Promise.all(Array.from({ length: 8 }, () => one.put(chunk, [two])));
    for (const each of answers) assert.deepEqual(storedOf(each).stored, [one.id, two.id]);
    assert.deepEqual((await one.chunk(chunk.digest)).body, chunk.bytes);
    assert.deepEqual(await readdir(join(one.data, 'chunks', 'arriving')), []);
  });

  it('is refused when it is not what its digest says, and passed on to nobody', async () => {
    const { digest } = someChunk();
    for (const bytes of [someChunk().bytes, someChunk(700_000).bytes]) {
      const answer = await one.put({ digest, bytes }, [two]);
      assert.equal(answer.status, 400);
      assert.equal(codeOf(answer), 'HW_BAD_CHUNK');
    }
    assert.equal(codeOf(await one.put({ digest, bytes: someChunk(10).bytes })), 'HW_BAD_CHUNK');
    assert.deepEqual(await one.check([digest]), [false]);
    assert.equal(codeOf(await one.chunk(digest)), 'HW_NOT_HERE');
    await until(async () => (await readdir(join(two.data, 'chunks', 'arriving'))).length === 0);
    assert.deepEqual(await two.check([digest]), [false]);
    assert.deepEqual(await readdir(join(one.data, 'chunks', 'arriving')), []);
  });

  it('leaves nothing when its sender goes away in the middle', async () => {
    const { digest, bytes } = someChunk(4_000_000);
    const socket = await rawConnection(one.url);
    socket.write(
      `PUT /v1/chunks/${digest}?next=${two.id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${fleet.uploadToken()}\r\nContent-Length: 4000000\r\n\r\n`,
    );
    socket.write(bytes.subarray(0, 2_000_000));
    const arriving = (server: ChunkServer) => readdir(join(server.data, 'chunks', 'arriving'));
    await until(async () => (await arriving(one)).length === 1 && (await arriving(two)).length === 1);
    socket.destroy();
    await until(async () => (await arriving(one)).length === 0 && (await arriving(two)).length === 0);
    assert.deepEqual(await one.check([digest]), [false]);
  });

  it('is refused when it is longer than chunks are, or of unknown length', async () => {
    const token = fleet.uploadToken();
    const { digest } = someChunk(10);
    const head = `PUT /v1/chunks/${digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`;
    for (const [length, status] of [
      ['Content-Length: 67108865', 413],
      ['Transfer-Encoding: chunked', 400],
      ['Content-Length: 0', 400],
    ] as const) {
      const socket = await rawConnection(one.url);
      socket.write(`${head}${length}\r\n\r\n`);
      assert.match(await readToEnd(socket), new RegExp(`^HTTP/1\\.1 ${status} `));
    }
  });

  it('is refused without leave, with that of another fleet, and from what only reads files', async () => {
    const chunk = someChunk(1000);
    const now = Math.floor(Date.now() / 1000);
    const foreign = new SigningKey();
    for (const [token, status, code] of [
      ['x.y.z', 401, 'HW_TOKEN_INVALID'],
      [fleet.uploadToken({ exp: now - 100 }), 401, 'HW_TOKEN_EXPIRED'],
      [fleet.uploadToken({}, foreign), 401, 'HW_TOKEN_INVALID'],
      [fleet.uploadToken({ iss: 'another' }, foreign), 403, 'HW_GRANT_OTHER_FLEET'],
      [fleet.uploadToken({ iss: 'another' }), 403, 'HW_GRANT_OTHER_FLEET'],
      [fleet.grant(sha256('x')).token, 401, 'HW_TOKEN_INVALID'],
    ] as const) {
      const answer = await one.put(chunk, [], token);
      assert.deepEqual([answer.status, codeOf(answer)], [status, code]);
    }
    await one.put(chunk);
    // Uploads put; only servers get.
    const answer = await one.chunk(chunk.digest, fleet.uploadToken());
    assert.deepEqual([answer.status, codeOf(answer)], [403, 'HW_FORBIDDEN']);
    assert.equal((await one.chunk(chunk.digest, 'none')).status, 401);
    assert.equal((await ask(one.url, `/v1/chunks/${chunk.digest}`)).status, 401);
  });

  it('has no name that leads elsewhere', async () => {
    const token = fleet.internalToken();
    const names = ['../../identity.json', '..%2f..%2fidentity.json', 'A'.repeat(64), 'abc', '', '.'];
    for (const name of [...names, `${'0'.repeat(64)}/..`, `${'0'.repeat(63)}/`]) {
      const answer = await ask(one.url, `/v1/chunks/${name}`, { authorization: `Bearer ${token}` });
      assert.equal(codeOf(answer), 'HW_PATH', name);
      assert.equal(codeOf(await send(`${one.url}/v1/chunks/x${name}`, token, Buffer.from('x'))), 'HW_PATH');
    }
  });

  it('is passed on to servers of the fleet alone, each once', async () => {
    const { digest, bytes } = someChunk(1000);
    const put = (next: string) =>
      send(`${one.url}/v1/chunks/${digest}?next=${next}`, fleet.uploadToken(), bytes);
    for (const next of [one.id, `${two.id},${two.id}`, 'http://127.0.0.1:1/', 'x', `${two.id},`]) {
      assert.equal(codeOf(await put(encodeURIComponent(next))), 'HW_USAGE', next);
    }
    const nobody = '00000000-0000-4000-8000-000000000000';
    const { stored, failed } = storedOf(await put(nobody));
    assert.deepEqual(stored, [one.id]);
    assert.deepEqual(
      failed.map(({ id, code }) => [id, code]),
      [[nobody, 'HW_NOT_FOUND']],
    );
  });

  it('reaches those behind a dead one, and the dead one is told', async () => {
    await using first = await ChunkServer.start(fleet);
    await using middle = await ChunkServer.start(fleet);
    await using last = await ChunkServer.start(fleet);
    const chunk = someChunk();
    // Once well, so that a connection is open.
    assert.equal(storedOf(await first.put(chunk, [middle, last])).stored.length, 3);
    await middle.kill();
    const another = someChunk();
    const { stored, failed } = storedOf(await first.put(another, [middle, last]));
    assert.deepEqual(stored, [first.id, last.id]);
    assert.deepEqual(
      failed.map(({ id, code }) => [id, code]),
      [[middle.id, 'HW_CONNECT']],
    );
    assert.deepEqual((await last.chunk(another.digest)).body, another.bytes);
  });

  it('reaches those behind one that takes nothing any more', async () => {
    await using middle = await ChunkServer.start(fleet);
    middle.program.process.kill('SIGSTOP');
    const chunk = someChunk(32_000_000);
    const { stored, failed } = storedOf(await one.put(chunk, [middle, three]));
    middle.program.process.kill('SIGCONT');
    assert.deepEqual(stored, [one.id, three.id]);
    assert.deepEqual(
      failed.map(({ id, code }) => [id, code]),
      [[middle.id, 'HW_SILENT']],
    );
    assert.deepEqual((await three.chunk(chunk.digest)).body, chunk.bytes);
  });

  it('reaches those behind one that dies in the middle of it', async () => {
    await using middle = await ChunkServer.start(fleet);
    const { digest, bytes } = someChunk(8_000_000);
    const socket = await rawConnection(one.url);
    socket.write(
      `PUT /v1/chunks/${digest}?next=${middle.id},${three.id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${fleet.uploadToken()}\r\nContent-Length: 8000000\r\n\r\n`,
    );
    socket.write(bytes.subarray(0, 4_000_000));
    await until(async () => (await readdir(join(three.data, 'chunks', 'arriving'))).length === 1);
    await middle.kill();
    socket.write(bytes.subarray(4_000_000));
    const answer = await readToEnd(socket);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    const told = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as object;
    const { stored, failed } = storedOf({
      status: 200,
      headers: {},
      body: Buffer.from(JSON.stringify(told)),
    });
    assert.deepEqual(stored, [one.id, three.id]);
    assert.deepEqual(
      failed.map(({ id }) => id),
      [middle.id],
    );
    assert.deepEqual((await three.chunk(digest)).body, bytes);
  });
});
