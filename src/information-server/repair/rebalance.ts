import { sql } from 'kysely';

import type { RebalanceAnswer } from '../../core/api/uploads.ts';
import { appendEvents } from '../../database/append-events.ts';
import { audit, type Actor } from '../accounts/audit.ts';
import type { Context } from '../context.ts';
import { readStores } from '../uploads/store-servers.ts';
import { Budget } from './budget.ts';
import { countBits, isSet } from './copy-counts.ts';
import { REBALANCE_LOOK, REBALANCE_MARKED, REBALANCE_PAGE } from './limits.ts';
import { planContent, type ServerChunks } from './plan.ts';
import { readContents, type PublishedContent } from './read-contents.ts';
import { repairServerOf, type RepairServer } from './repair-server.ts';

/** What moves: bytes by the number of the server. */
interface Moves {
  chunks: number;
  bytes: number;
  readonly takes: Map<number, number>;
  readonly gives: Map<number, number>;
}

/**
 * Works out what a rebalance would move: of all contents, or of as many, in no order, as there is time for, which stand for
 * the rest.
 */
export async function measureRebalance(context: Context, dryRun: boolean): Promise<RebalanceAnswer> {
  const { database, settings, now } = context;
  const stores = await readStores(database.queries);
  const goneBefore = now() - settings.times.deadAfter * 1000;
  const servers = new Map(stores.map((row) => [row.number, repairServerOf(row, goneBefore)]));
  const { contents } = await database.queries
    .selectFrom('files')
    .select(({ fn }) => fn.count<number>('content_id').distinct().as('contents'))
    .where('deleted_at', 'is', null)
    .where('replicas', 'is not', null)
    .executeTakeFirstOrThrow();
  const moves: Moves = { chunks: 0, bytes: 0, takes: new Map(), gives: new Map() };
  const end = performance.now() + REBALANCE_LOOK;
  let [looked, after] = [0, ''];
  while (performance.now() < end && !context.signal.aborted) {
    const page = await pageOf(context, after);
    for (const content of page) addMoves(moves, content, servers);
    looked += page.length;
    after = page.at(-1)?.manifest ?? after;
    if (page.length === 0) break;
  }
  const scale = looked === 0 ? 0 : Math.max(1, contents / looked);
  const scaled = (bytes = 0): number => Math.round(bytes * scale);
  return {
    dryRun,
    contents,
    looked,
    chunks: scaled(moves.chunks),
    bytes: scaled(moves.bytes),
    servers: stores.flatMap(({ number, id, name }) => {
      const [takes, gives] = [scaled(moves.takes.get(number)), scaled(moves.gives.get(number))];
      return takes + gives === 0 ? [] : [{ id, name, takes, gives }];
    }),
  };
}

/** In the order of their digests, which is none. */
async function pageOf({ database }: Context, after: string): Promise<PublishedContent[]> {
  const rows = await database.queries
    .selectFrom('contents')
    .select('contents.id')
    .where('manifest_sha256', '>', after)
    .where((is) =>
      is.exists(
        is
          .selectFrom('files')
          .select('files.number')
          .whereRef('files.content_id', '=', 'contents.id')
          .where('files.deleted_at', 'is', null)
          .where('files.replicas', 'is not', null),
      ),
    )
    .orderBy('manifest_sha256')
    .limit(REBALANCE_PAGE)
    .execute();
  const contents = await readContents(
    database.queries,
    rows.map(({ id }) => id),
  );
  return [...contents.values()].toSorted((a, b) => (a.manifest < b.manifest ? -1 : 1));
}

function addMoves(
  moves: Moves,
  { copies }: PublishedContent,
  servers: ReadonlyMap<number, RepairServer>,
): void {
  const plan = (stored: readonly ServerChunks[], rebalance: boolean) => {
    const free = new Budget({ perServer: Infinity, inAll: Infinity }, new Map());
    return planContent({ ...copies, stored, avoid: new Set(), rebalance }, servers, free);
  };
  // What repair is at work on is no rebalancing.
  if (plan(copies.stored, false).state !== 'good') return;
  const come = plan(copies.stored, true).copies;
  if (come.length === 0) return;
  const before = new Map(copies.stored.map(({ server, chunks }) => [server, chunks]));
  for (const { server, chunks, bytes } of come) {
    const held = before.get(server);
    before.set(server, held === undefined ? chunks : held.map((byte, at) => byte | (chunks[at] ?? 0)));
    moves.chunks += countBits(chunks);
    moves.bytes += bytes;
    moves.takes.set(server, (moves.takes.get(server) ?? 0) + bytes);
  }
  const all = [...before].map(([server, chunks]) => ({ server, chunks }));
  for (const { server, chunks } of plan(all, false).drops) {
    let bytes = 0;
    for (let chunk = 0; chunk < copies.layout.count; chunk++) {
      if (isSet(chunks, chunk)) bytes += copies.layout.bytes(chunk);
    }
    moves.gives.set(server, (moves.gives.get(server) ?? 0) + bytes);
  }
}

/** Has the leader move copies to where they belong: under the caps of repair, and after what lacks copies. */
export async function startRebalance(
  context: Context,
  { bytes, contents }: RebalanceAnswer,
  by: Actor,
): Promise<void> {
  const { database, now } = context;
  let after = 0;
  for (;;) {
    const at = now();
    const rows = await database.queries
      .selectFrom('files')
      .select('content_id')
      .distinct()
      .where('content_id', '>', after)
      .where('deleted_at', 'is', null)
      .where('replicas', 'is not', null)
      .orderBy('content_id')
      .limit(REBALANCE_MARKED)
      .execute();
    const last = rows.at(-1)?.content_id;
    if (last === undefined) break;
    await sql`
      insert into repairs (content_id, least, since, look_at, rebalance)
        select distinct content_id, cast(null as integer), cast(${at} as bigint), cast(${at} as bigint), 1 from files
        where content_id > ${after} and content_id <= ${last} and deleted_at is null and replicas is not null
      on conflict (content_id) do update set look_at = excluded.look_at, rebalance = 1`.execute(
      database.queries,
    );
    after = last;
  }
  await database.transaction(async (db) => {
    const at = now();
    await audit(db, { at, by, action: 'rebalance.started', details: { bytes, contents } });
    const data = { user: by.name, bytes, contents };
    await appendEvents(db, database.kind, [{ kind: 'rebalance.started', audience: 'people', data }], at);
  });
}
