import type { Transaction } from 'kysely';

import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import { newId } from '../../database/ids.ts';
import type { Tables } from '../../database/tables.ts';
import type { Context } from '../context.ts';
import { fenced } from '../leadership/leader-task.ts';
import { perContext } from '../per-context.ts';
import type { Budget } from './budget.ts';
import { rangesOf } from './copy-counts.ts';
import { CAPPED_AGAIN, MOST_SOURCES, ORDER_PATIENCE, ORDERED_AGAIN, PARKED_AGAIN } from './limits.ts';
import type { CopyOrder, Plan, ServerChunks } from './plan.ts';
import type { PublishedContent } from './read-contents.ts';
import type { Look } from './repair.ts';

/** Contents of which people were told that chunks are lost; a new leader tells again. */
const toldLostOf = perContext(() => new Set<number>());

/** What a look has come to. */
export interface Planned {
  readonly plans: ReadonlyMap<PublishedContent, Plan>;
  /** Contents that nobody wants copies of any more. */
  readonly gone: readonly number[];
  /** Some were looked at for the first time: what they lack is ordered when all are known. */
  readonly isFirstLook: boolean;
}

/** Gives the orders of plans, and writes down when each content is to be looked at again: all in one transaction. */
export async function writePlans(
  context: Context,
  look: Look,
  { plans, gone, isFirstLook }: Planned,
  budget: Budget,
): Promise<void> {
  const { database } = context;
  const sources = await readSources(context);
  await fenced(database, look.epoch, async (db) => {
    const events: NewEvent[] = [];
    const done = [...gone];
    for (const [content, plan] of plans) {
      for (const order of plan.copies) {
        events.push(...(await orderCopies(db, context, look, { content, order, budget, sources })));
      }
      for (const drop of plan.drops) events.push(...(await orderDrop(db, look, content, drop)));
      events.push(...lossOf(context, content, plan));
      if (plan.state === 'good') done.push(content.id);
      else await lookAgain(db, content.id, plan, { now: look.now, isFirstLook });
    }
    if (done.length > 0) await db.deleteFrom('repairs').where('content_id', 'in', done).execute();
    await appendEvents(db, database.kind, events, look.now);
  });
}

type Source = { readonly id: string; readonly url: string; readonly isReady: boolean };

/** Servers that can send, by number: those that run first, suspected ones after them. */
async function readSources({ database }: Context): Promise<Map<number, Source>> {
  const rows = await database.queries
    .selectFrom('servers')
    .select(['number', 'id', 'url', 'state'])
    .where('state', 'not in', ['dead', 'stopped', 'paused'])
    .execute();
  return new Map(
    rows.map(({ number, id, url, state }) => [
      number,
      { id, url: url.replace(/\/+$/, ''), isReady: state !== 'suspected' },
    ]),
  );
}

interface Order {
  readonly content: PublishedContent;
  readonly order: CopyOrder;
  readonly budget: Budget;
  readonly sources: ReadonlyMap<number, Source>;
}

async function orderCopies(
  db: Transaction<Tables>,
  { settings }: Context,
  { now, servers }: Look,
  { content, order, budget, sources }: Order,
): Promise<NewEvent[]> {
  const { server, chunks } = order;
  const target = servers.get(server);
  if (target === undefined) return [];
  const before = content.copies.orders.find((each) => each.server === server)?.chunks;
  const id = newId(now);
  // What was ordered of it before goes on, and counts with this: there is one row for each server and content.
  const all = before === undefined ? chunks : chunks.map((byte, at) => byte | (before[at] ?? 0));
  const { layout, stored, inPlace } = content.copies;
  const allBytes = rangesOf(all).reduce((sum, [first, last]) => sum + layout.bytes(first, last + 1), 0);
  const deadline =
    now + ORDER_PATIENCE + Math.ceil((budget.under(server) / settings.copies.leastRate) * 1000);
  const row = { id, chunks: all, bytes: allBytes, ordered_at: now, deadline };
  await db
    .insertInto('copies')
    .values({ ...row, content_id: content.id, server_number: server })
    .onConflict((conflict) => conflict.columns(['content_id', 'server_number']).doUpdateSet(row))
    .execute();
  const from = [...stored, ...inPlace]
    .filter((holding) => holding.server !== server && overlap(holding.chunks, chunks))
    .flatMap((holding) => sources.get(holding.server) ?? [])
    .toSorted((a, b) => Number(b.isReady) - Number(a.isReady))
    .slice(0, MOST_SOURCES)
    .map(({ id: source, url }) => ({ id: source, url }));
  const data = { order: id, manifest: content.manifest, chunks: rangesOf(chunks), sources: from };
  return [{ kind: 'chunks.copy', audience: { servers: [target.id] }, data }];
}

async function orderDrop(
  db: Transaction<Tables>,
  { now, servers }: Look,
  content: PublishedContent,
  { server, chunks }: ServerChunks,
): Promise<NewEvent[]> {
  const target = servers.get(server);
  if (target === undefined) return [];
  const before = content.copies.drops.find((each) => each.server === server)?.chunks;
  const all = before === undefined ? chunks : chunks.map((byte, at) => byte | (before[at] ?? 0));
  await db
    .insertInto('drops')
    .values({ content_id: content.id, server_number: server, chunks: all, ordered_at: now })
    .onConflict((conflict) =>
      conflict.columns(['content_id', 'server_number']).doUpdateSet({ chunks: all, ordered_at: now }),
    )
    .execute();
  const data = { manifest: content.manifest, chunks: rangesOf(chunks) };
  return [{ kind: 'chunks.drop', audience: { servers: [target.id] }, data }];
}

function lossOf(context: Context, { id, manifest, name }: PublishedContent, { lost }: Plan): NewEvent[] {
  const told = toldLostOf(context);
  if (lost === 0) {
    told.delete(id);
    return [];
  }
  if (told.has(id)) return [];
  told.add(id);
  return [{ kind: 'copies.lost', audience: 'people', data: { manifest, name, chunks: lost } }];
}

async function lookAgain(
  db: Transaction<Tables>,
  id: number,
  { state, least }: Plan,
  { now, isFirstLook }: { readonly now: number; readonly isFirstLook: boolean },
): Promise<void> {
  const capped = isFirstLook ? 0 : CAPPED_AGAIN;
  const after = { busy: ORDERED_AGAIN, capped, stuck: PARKED_AGAIN, good: 0 }[state];
  await db
    .updateTable('repairs')
    .set({ least, look_at: now + after })
    .where('content_id', '=', id)
    .execute();
}

function overlap(one: Uint8Array, other: Uint8Array): boolean {
  return one.some((byte, at) => (byte & (other[at] ?? 0)) !== 0);
}
