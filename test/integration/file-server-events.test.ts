import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { codeOf, FileServerProgram, StandInFleet } from './file-server-lab.ts';
import { Files, until } from './serve-lab.ts';

const soon = () => new Date(Date.now() + 300_000).toISOString();
const metric = async (server: FileServerProgram, name: string) =>
  Number(new RegExp(`_${name} (\\d+)`).exec((await server.ask('/metrics')).body.toString())?.[1]);

describe('a file server of a fleet that is told', () => {
  test('that a grant is revoked cuts off what is sent for it and refuses it, also after SIGKILL', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'big.bin': randomBytes(32 * MIB) });
    await using server = await FileServerProgram.start([fleet.url], files.folder, {
      args: ['--limit', '4M'],
    });
    await until(() => fleet.names.length === 1);
    const bad = fleet.grant('big.bin');
    const good = fleet.grant('big.bin', {}, bad.file);
    const cut = server.ask(bad.path, bad.token).then(
      ({ body }) => body.length,
      () => 'cut',
    );
    const whole = server.ask(good.path, good.token, { range: `bytes=0-${8 * MIB - 1}` });
    await until(() => Number(server.status['answers']) === 2);
    fleet.event('grant.revoked', { grant: bad.id, expiresAt: soon() });
    assert.equal(await cut, 'cut');
    assert.equal((await whole).body.length, 8 * MIB);
    assert.equal(codeOf(await server.ask(bad.path, bad.token)), 'HW_GRANT_REVOKED');
    await server.kill();
    await using again = await FileServerProgram.start([fleet.url], files.folder, { data: server.data });
    const answer = await again.ask(bad.path, bad.token);
    assert.equal(answer.status, 403);
    assert.equal(codeOf(answer), 'HW_GRANT_REVOKED');
    assert.equal((await again.ask(good.path, good.token, { range: 'bytes=0-9' })).status, 206);
  });

  test('of revocations while it was down learns of them when it is back', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ file: 'x' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const { id, path, token } = fleet.grant('file');
    assert.equal((await server.ask(path, token)).status, 200);
    await server.kill();
    fleet.event('grant.revoked', { grant: id, expiresAt: soon() });
    await using again = await FileServerProgram.start([fleet.url], files.folder, { data: server.data });
    await until(async () => (await again.ask(path, token)).status === 403);
  });

  test('that a file is deleted serves it no more and does not announce it again until it was gone', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a', 'b.txt': 'b' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 2);
    const { path, token, file } = fleet.grant('a.txt');
    const { manifestSha256 } = fleet.holding('a.txt');
    assert.equal((await server.ask(path, token)).status, 200);
    fleet.event('file.deleted', { file, manifest: manifestSha256 });
    await until(async () => (await server.ask(path, token)).status === 403);
    assert.equal(codeOf(await server.ask(path, token)), 'HW_GRANT_REVOKED');
    await server.kill();
    // All is told again, and this is not.
    fleet.version = 0;
    fleet.holdings.clear();
    await using again = await FileServerProgram.start([fleet.url], files.folder, { data: server.data });
    await until(() => fleet.names.join() === 'b.txt');
    assert.equal(codeOf(await again.ask(path, token)), 'HW_GRANT_REVOKED');
    await files.write('c.txt', 'c');
    await until(() => fleet.names.join() === 'b.txt,c.txt');
    // The same event again, after the content has come back as another file.
    await rm(files.path('a.txt'));
    await until(async () => (await metric(again, 'holdings')) === 2);
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
    await files.write('a.txt', 'a');
    await until(() => fleet.names.length === 3);
    fleet.event('file.deleted', { file, manifest: manifestSha256 });
    await until(async () => (await metric(again, 'event_position')) === 2);
    const back = fleet.grant('a.txt');
    assert.equal((await again.ask(back.path, back.token)).body.toString(), 'a');
  });

  test('that only a name went to another file goes on with the content', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const old = fleet.grant('a.txt');
    const { manifestSha256: manifest } = fleet.holding('a.txt');
    fleet.event('file.deleted', { file: old.file, manifest, withdraw: false });
    await until(async () => (await server.ask(old.path, old.token)).status === 403);
    const next = fleet.grant('a.txt');
    assert.equal((await server.ask(next.path, next.token)).status, 200);
  });

  test('of a new name says it to who downloads, the newest whatever the order', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const { path, token, file } = fleet.grant('a.txt');
    const { manifestSha256: manifest } = fleet.holding('a.txt');
    fleet.event('file.renamed', { file, manifest, name: 'dir/größer.txt' });
    await until(async () =>
      String((await server.ask(path, token)).headers['content-disposition']).includes(
        "UTF-8''gr%C3%B6%C3%9Fer.txt",
      ),
    );
    const other = fleet.grant('a.txt');
    assert.match(
      String((await server.ask(other.path, other.token)).headers['content-disposition']),
      /filename="a.txt"/,
    );
  });

  test('of grants counts each once, with the download it then sees, and reads the file ahead', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'big.bin': randomBytes(20 * MIB) });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const grant = fleet.grant('big.bin');
    const { manifestSha256: manifest } = fleet.holding('big.bin');
    const data = { grant: grant.id, file: grant.file, manifest, user: 'u', expiresAt: soon() };
    fleet.event('download.granted', data);
    fleet.event('download.granted', data);
    await until(async () => (await metric(server, 'read_ahead_bytes_total')) === 8 * MIB);
    assert.equal(await metric(server, 'downloads_granted_total'), 1);
    for (let index = 0; index < 3; index++) {
      await server.ask(grant.path, grant.token, { range: `bytes=${index}-${index}` });
    }
    assert.equal(await metric(server, 'downloads_seen_total'), 1);
    await until(() => fleet.beats.reduce((sum, { downloads = 0 }) => sum + downloads, 0) === 1);
  });

  test('what it does not understand goes on with what comes next', async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ file: 'x' });
    await using server = await FileServerProgram.start([fleet.url], files.folder);
    await until(() => fleet.names.length === 1);
    const { id, path, token } = fleet.grant('file');
    fleet.event('something.new' as 'keys.rotated', { any: 'thing' });
    fleet.event('grant.revoked', { grant: 'no uuid' });
    fleet.event('grant.revoked', { grant: id, expiresAt: soon() }, randomUUID());
    await until(async () => (await server.ask(path, token)).status === 403);
    await server.event('fault', ({ message }) => String(message).includes('grant.revoked'));
  });
});
