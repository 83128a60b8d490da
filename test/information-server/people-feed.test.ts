import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { FleetEvent } from '../../src/core/api/events.ts';
import { appendEvents, type NewEvent } from '../../src/database/append-events.ts';
import { trimEvents } from '../../src/information-server/events/trim-events.ts';
import type { Context } from '../../src/information-server/context.ts';
import { onEachDatabase } from '../unit/database/each-database.ts';
import { onEachKind } from './each-kind.ts';
import { FileServer, filesOf, madeUp } from './servers/file-server.ts';
import { startTestServer, type TestServer } from './start.ts';

interface List {
  readonly items: readonly FleetEvent[];
  readonly next: number | null;
}

async function tell({ database }: TestServer, kind: string, data: Record<string, unknown>): Promise<void> {
  const event: NewEvent = { kind, audience: 'people', data };
  await database.transaction((db) => appendEvents(db, database.kind, [event], Date.now()));
}

async function list(fleet: TestServer, query: string, token?: string): Promise<List> {
  const { status, body } = await fleet.ask('GET', `/v1/events?follow=0&${query}`, undefined, token);
  assert.equal(status, 200);
  return body as List;
}

/** Reads a stream until it has so many events, then leaves. */
async function read(
  url: string,
  count: number,
  { token, headers = {} }: { token: string; headers?: Record<string, string> },
): Promise<FleetEvent[]> {
  const leaving = new AbortController();
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${token}`, ...headers },
    signal: AbortSignal.any([leaving.signal, AbortSignal.timeout(20_000)]),
  });
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const events: FleetEvent[] = [];
  let text = '';
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    text += decoder.decode(piece, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const [id, kind, data] = block.split('\n');
      if (data === undefined) continue;
      const event = JSON.parse(data.slice('data: '.length)) as FleetEvent;
      assert.deepEqual([id, kind], [`id: ${event.position}`, `event: ${event.kind}`]);
      events.push(event);
    }
    if (events.length >= count) break;
  }
  leaving.abort();
  return events;
}

const names = (events: readonly FleetEvent[]): unknown[] => events.map(({ data }) => data['name']);

onEachKind('the feed of events for people', (kind) => {
  it('goes on where a reader was, at any information server', async () => {
    await using fleet = await startTestServer(kind);
    const other = await fleet.another();
    const token = fleet.admin;
    const [start] = (await list(fleet, 'limit=1')).items;
    for (const name of ['a', 'b', 'c']) await tell(fleet, 'server.gone', { name });
    const query = `kinds=server.gone&after=${start?.position}`;
    const first = await read(`${fleet.url}/v1/events?${query}`, 2, { token });
    assert.deepEqual(names(first).slice(0, 2), ['a', 'b']);
    const headers = { 'last-event-id': String(first[1]?.position) };
    const reading = read(`${other.url}/v1/events?kinds=server.gone`, 3, { token, headers });
    for (const name of ['d', 'e']) await tell(fleet, 'server.gone', { name });
    assert.deepEqual(names(await reading), ['c', 'd', 'e']);
  });

  it('is a list in pages too', async () => {
    await using fleet = await startTestServer(kind);
    for (let index = 0; index < 25; index++) await tell(fleet, 'server.gone', { name: index });
    assert.deepEqual(names((await list(fleet, 'kinds=server.gone&limit=3')).items), [22, 23, 24]);
    const found: unknown[] = [];
    for (let after: number | null = 0; after !== null;) {
      const page: List = await list(fleet, `kinds=server.gone&limit=10&after=${after}`);
      found.push(...names(page.items));
      after = page.next;
    }
    assert.deepEqual(
      found,
      Array.from({ length: 25 }, (_, index) => index),
    );
  });

  it('shows an admin all, and others which servers there are, their own downloads and files they may see', async () => {
    await using fleet = await startTestServer(kind);
    const server = new FileServer(fleet, 'one');
    await server.register();
    await server.hold(1, [madeUp('open'), madeUp('secret'), madeUp('shared')]);
    const reader = await fleet.user('reader');
    const files = await filesOf(fleet);
    const { queries } = fleet.database;
    const ids = ['secret', 'shared'].map((name) => files.get(name)?.id ?? '');
    await queries.updateTable('files').set({ visibility: 'users' }).where('id', 'in', ids).execute();
    await queries
      .insertInto('file_readers')
      .values({ file_id: ids[1] ?? '', user_id: reader.id })
      .execute();
    for (const [name, file] of files) await tell(fleet, 'file.renamed', { file: file.id, name });
    await tell(fleet, 'download.started', { user: reader.email, name: 'mine' });
    await tell(fleet, 'download.started', { user: 'admin@example.org', name: 'theirs' });
    await tell(fleet, 'server.lied', { name: 'one' });
    await tell(fleet, 'leader.changed', {});
    const seen = (await list(fleet, 'after=0', reader.token)).items;
    assert.deepEqual(
      new Set(seen.map((event) => event.kind)),
      new Set(['server.joined', 'file.published', 'file.renamed', 'download.started']),
    );
    assert.deepEqual(names(seen.filter((event) => event.kind === 'file.renamed')), ['open', 'shared']);
    assert.deepEqual(names(seen.filter((event) => event.kind === 'download.started')), ['mine']);
    assert.ok(!JSON.stringify(seen).includes('secret'));
    const all = (await list(fleet, 'after=0')).items;
    assert.ok(all.some((event) => event.kind === 'server.lied'));
    assert.equal(all.filter((event) => event.kind === 'file.renamed').length, 3);
    assert.ok(all.every((event) => event.kind !== 'download.granted'));
  });

  it('is for those who are logged in, and says what is wrong with a request', async () => {
    await using fleet = await startTestServer(kind);
    const ask = async (path: string, token?: string | null): Promise<number> =>
      (await fleet.ask('GET', path, undefined, token)).status;
    const server = new FileServer(fleet, 'one');
    await server.register();
    assert.deepEqual(
      [
        await ask('/v1/events', null),
        await ask('/v1/events', server.token),
        await ask('/v1/events?after=x'),
        await ask('/v1/events?kinds=everything'),
        await ask('/v1/events?since=1'),
        await ask('/v1/events?follow=0&limit=100000'),
      ],
      [401, 401, 400, 400, 400, 400],
    );
    const bad = await fetch(`${fleet.url}/v1/events`, {
      headers: { authorization: `Bearer ${fleet.admin}`, 'last-event-id': 'abc' },
    });
    assert.equal(bad.status, 400);
  });

  it('ends with the session that it was asked for with, before another event is told', async () => {
    await using fleet = await startTestServer(kind);
    const { token } = await fleet.user('reader');
    const response = await fetch(`${fleet.url}/v1/events`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(20_000),
    });
    const text = response.text();
    assert.equal((await fleet.ask('POST', '/v1/auth/logout', undefined, token)).status, 204);
    await tell(fleet, 'server.gone', { name: 'told too late' });
    assert.doesNotMatch(await text, /told too late/);
  });

  it('ends when the server stops', async () => {
    await using fleet = await startTestServer(kind);
    const response = await fetch(`${fleet.url}/v1/events`, {
      headers: { authorization: `Bearer ${fleet.admin}` },
    });
    const text = response.text();
    await fleet.server.close();
    assert.match(await text, /^retry: /);
  });
});

onEachDatabase('old events', (make) => {
  it('go, each kind after its time, but never one that the broker lacks, nor the newest', async () => {
    await using made = await make();
    const { database } = made;
    const start = 1_800_000_000_000;
    const tellAll = (kinds: readonly string[], at: number): Promise<void> =>
      database.transaction((db) =>
        appendEvents(
          db,
          database.kind,
          kinds.map((kind) => ({ kind, audience: 'all' as const, data: {} })),
          at,
        ),
      );
    await tellAll(['download.granted', 'download.started', 'file.deleted'], start);
    await tellAll(['download.granted', 'file.renamed'], start + 8 * 86_400_000);
    await database.queries
      .insertInto('leases')
      .values({ name: 'leader', owner: 'me', url: '', epoch: 1, expires_at: 0 })
      .execute();
    const run = async (now: number, broker?: string): Promise<string[]> => {
      const context = { database, now: () => now, settings: { broker } } as unknown as Context;
      await trimEvents(context).run(1, new AbortController().signal);
      const rows = await database.queries.selectFrom('events').select('kind').orderBy('position').execute();
      return rows.map((row) => row.kind);
    };
    assert.equal((await run(start + 16 * 60_000, 'amqp://broker')).length, 5);
    const after = ['download.started', 'file.deleted', 'download.granted', 'file.renamed'];
    assert.deepEqual(await run(start + 16 * 60_000), after);
    assert.deepEqual(await run(start + 61 * 60_000), after.slice(1));
    assert.deepEqual(await run(start + 30 * 86_400_000), ['file.renamed']);
  });
});
