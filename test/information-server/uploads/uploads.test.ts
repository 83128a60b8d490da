import assert from 'node:assert/strict';
import { it } from 'node:test';

import { decodeJwt, importJWK, jwtVerify, type JWK } from 'jose';

import type { UploadAnswer } from '../../../src/core/api/uploads.ts';
import { UploadClaims, InternalClaims } from '../../../src/core/api/uploads.ts';
import { MANIFEST_BINARY_TYPE, unpackManifest } from '../../../src/core/manifest-binary.ts';
import { onEachKind } from '../each-kind.ts';
import { FileServer, madeUp } from '../servers/file-server.ts';
import { startTestServer, type TestServer } from '../start.ts';

const GIB = 2 ** 30;

/** A file server with a chunk store, as heartbeats say. */
async function storeServer(fleet: TestServer, name: string, zone: string, open = true): Promise<FileServer> {
  const server = new FileServer(fleet, name);
  await server.register({ zone });
  const beaten = await server.beat({ store: { capacity: 100 * GIB, chunks: 3, bytes: 3_000, open } });
  assert.equal(beaten.status, 200);
  return server;
}

onEachKind('uploads', (kind) => {
  it('begins one with the servers that have chunk stores, and a token that the fleet has signed', async () => {
    await using fleet = await startTestServer(kind, { copies: { replicas: 3, keep: 1_000 } });
    const one = await storeServer(fleet, 'one', 'east');
    const full = await storeServer(fleet, 'full', 'west', false);
    const without = new FileServer(fleet, 'without');
    await without.register();
    await without.beat();
    const publisher = await fleet.user('publisher');
    const answer = await fleet.ask('POST', '/v1/uploads', { name: 'a/b.iso' }, publisher.token);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const upload = answer.body as UploadAnswer;
    assert.equal(upload.replicas, 3);
    assert.equal(upload.zones, 3);
    assert.deepEqual(
      upload.servers.map(({ id, open, weight, zone }) => ({ id, open, weight, zone })),
      [
        { id: one.id, open: true, weight: 100 * GIB, zone: 'east' },
        { id: full.id, open: false, weight: 100 * GIB, zone: 'west' },
      ],
    );
    const { keys } = (await fleet.ask('GET', '/.well-known/jwks.json')).body as { keys: [JWK] };
    const { payload } = await jwtVerify(upload.token, await importJWK(keys[0], 'EdDSA'), {
      audience: 'headwater:upload',
    });
    const claims = UploadClaims.parse(payload);
    assert.equal(claims.jti, upload.id);
    assert.equal(claims.sub, publisher.id);
    assert.equal(claims.keep, Math.floor(Date.parse(upload.keepUntil) / 1000));
    assert.ok(Math.abs(claims.keep - Date.now() / 1000 - 1_000) < 60);
  });

  it('is for publishers, and an upload for who began it and admins', async () => {
    await using fleet = await startTestServer(kind);
    await storeServer(fleet, 'one', 'east');
    const reader = await fleet.user('reader');
    assert.equal((await fleet.ask('POST', '/v1/uploads', { name: 'x' }, reader.token)).status, 403);
    const [mine, other] = [await fleet.user('publisher'), await fleet.user('publisher')];
    const { id } = (await fleet.ask('POST', '/v1/uploads', { name: 'x' }, mine.token)).body as UploadAnswer;
    const path = `/v1/uploads/${id}`;
    assert.equal((await fleet.ask('GET', `${path}/servers`, undefined, other.token)).status, 404);
    assert.equal((await fleet.ask('GET', `${path}/servers`, undefined, mine.token)).status, 200);
    const renewed = await fleet.ask('POST', `${path}/renew`, undefined, fleet.admin);
    assert.equal(renewed.status, 200);
    assert.equal((await fleet.ask('DELETE', path, undefined, mine.token)).status, 204);
    assert.equal((await fleet.ask('GET', `${path}/servers`, undefined, mine.token)).status, 404);
  });

  it('says at once that a name is taken, by which file, and that there is no room', async () => {
    await using fleet = await startTestServer(kind);
    const none = await fleet.ask('POST', '/v1/uploads', { name: 'x' });
    assert.equal((none.body as { code: string }).code, 'HW_NO_ROOM');
    const one = await storeServer(fleet, 'one', 'east');
    const taken = madeUp('taken.bin');
    await one.hold(1, [taken]);
    const refused = await fleet.ask('POST', '/v1/uploads', { name: 'taken.bin' });
    assert.equal(refused.status, 409);
    const { code, details } = refused.body as { code: string; details: Record<string, unknown> };
    assert.equal(code, 'HW_CONFLICT');
    assert.equal(details['manifestSha256'], taken.manifestSha256);
    const nosy = await fleet.user('publisher');
    const { queries } = fleet.database;
    await queries.updateTable('files').set({ visibility: 'users' }).execute();
    const blind = await fleet.ask('POST', '/v1/uploads', { name: 'taken.bin' }, nosy.token);
    assert.equal(blind.status, 409);
    assert.ok(!JSON.stringify(blind.body).includes(taken.manifestSha256));
    assert.equal((blind.body as { details: { file: unknown } }).details.file, null);
    await queries.updateTable('files').set({ visibility: 'everyone' }).execute();
    const replacing = { name: 'taken.bin', replace: true };
    assert.equal((await fleet.ask('POST', '/v1/uploads', replacing)).status, 200);
    const publisher = await fleet.user('publisher');
    assert.equal((await fleet.ask('POST', '/v1/uploads', replacing, publisher.token)).status, 403);
    const unknown = { name: 'y', visibility: { users: ['nobody@example.org'] } };
    assert.equal((await fleet.ask('POST', '/v1/uploads', unknown)).status, 400);
  });

  it('tells file servers of each other, and gives them tokens and manifests', async () => {
    await using fleet = await startTestServer(kind);
    const one = await storeServer(fleet, 'one', 'east');
    const two = await storeServer(fleet, 'two', 'west');
    const peers = await fleet.ask('GET', '/v1/servers/peers', undefined, one.token);
    assert.deepEqual(peers.body, {
      servers: [
        { id: one.id, url: 'http://one.test:1', zone: 'east' },
        { id: two.id, url: 'http://two.test:1', zone: 'west' },
      ],
    });
    assert.equal((await fleet.ask('GET', '/v1/servers/peers')).status, 401);
    const path = `/v1/servers/${one.id}/internal-token`;
    const given = await fleet.ask('POST', path, undefined, one.token);
    assert.equal(given.status, 200);
    const { token } = given.body as { token: string };
    assert.equal(InternalClaims.parse(decodeJwt(token)).sub, one.id);
    assert.equal((await fleet.ask('POST', path, undefined, two.token)).status, 403);
    const content = madeUp('some.bin');
    await one.hold(1, [content]);
    const manifest = await fetch(`${fleet.url}/v1/manifests/${content.manifestSha256}`, {
      headers: { authorization: `Bearer ${two.token}`, accept: MANIFEST_BINARY_TYPE },
    });
    assert.equal(manifest.headers.get('content-type'), MANIFEST_BINARY_TYPE);
    assert.deepEqual(
      unpackManifest(new Uint8Array(await manifest.arrayBuffer()), 'the fleet'),
      content.manifest,
    );
    const text = await fleet.ask('GET', `/v1/manifests/${content.manifestSha256}`, undefined, two.token);
    assert.deepEqual(JSON.parse(text.body as string), content.manifest);
    const unknown = await fleet.ask('GET', `/v1/manifests/${'0'.repeat(64)}`, undefined, two.token);
    assert.equal(unknown.status, 404);
  });

  it('shows what the chunk store of each server has', async () => {
    await using fleet = await startTestServer(kind);
    await storeServer(fleet, 'one', 'east');
    const { items } = (await fleet.ask('GET', '/v1/servers')).body as {
      items: { chunks: number; bytes: number }[];
    };
    assert.deepEqual(
      items.map(({ chunks, bytes }) => ({ chunks, bytes })),
      [{ chunks: 3, bytes: 3_000 }],
    );
  });
});
