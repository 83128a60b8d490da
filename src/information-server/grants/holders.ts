import { createHash } from 'node:crypto';

import type { Has } from '../../core/api/common.ts';
import type { FleetServerState } from '../../core/api/servers.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import type { Queries } from '../../database/database.ts';
import { bitmapOfCount } from '../servers/holding-form.ts';
import { hasOf } from './has.ts';

/** A living server that holds chunks of a content. */
export interface Holder {
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  /** Where clients reach it, without a slash at the end. */
  readonly url: string;
  readonly state: FleetServerState;
  readonly has: Has;
  /** Bodies that it sends. */
  readonly answers: number;
  /** Bytes a second lately. */
  readonly rate: number;
}

/** A content's holders now. */
export interface Holders {
  readonly list: readonly Holder[];
  /** Same wherever the same servers hold the same chunks, whichever information server says so. */
  readonly version: string;
}

/**
 * Who holds something of each content: all but the stopped and the dead.
 *
 * @param seenAfter milliseconds since 1970; who was not heard of since is suspected, whether or not a leader has said so
 */
export async function readHolders(
  db: Queries,
  contentIds: readonly number[],
  seenAfter: number,
): Promise<Map<number, Holders>> {
  const rows = await db
    .selectFrom('holdings')
    .innerJoin('servers', 'servers.number', 'holdings.server_number')
    .innerJoin('contents', 'contents.id', 'holdings.content_id')
    .select([
      'holdings.content_id',
      'holdings.chunks',
      'contents.size',
      'contents.chunk_size',
      'servers.id',
      'servers.name',
      'servers.zone',
      'servers.url',
      'servers.state',
      'servers.wanted',
      'servers.answers',
      'servers.rate',
      'servers.last_seen_at',
    ])
    .where('holdings.content_id', 'in', contentIds)
    .where('servers.state', 'not in', ['stopped', 'dead'])
    .execute();
  const found = new Map<number, Holder[]>(contentIds.map((id) => [id, []]));
  for (const row of rows) {
    const { count } = new ChunkLayout(row.size, row.chunk_size);
    const has = hasOf(bitmapOfCount(row.chunks, count), count);
    if (has.length === 0) continue;
    const { id, name, zone, answers, rate } = row;
    const url = row.url.replace(/\/+$/, '');
    const state = stateOf(row, seenAfter);
    found.get(row.content_id)?.push({ id, name, zone, url, state, has, answers, rate });
  }
  return new Map([...found].map(([id, list]) => [id, { list, version: versionOf(list) }]));
}

interface Condition {
  readonly state: FleetServerState;
  readonly wanted: 'running' | 'paused' | 'draining' | 'stopped';
  readonly last_seen_at: number;
}

/** What an operator has just asked for counts at once; a server that is told to stop finishes what it sends. */
function stateOf({ state, wanted, last_seen_at: seen }: Condition, seenAfter: number): FleetServerState {
  if (state !== 'running') return state;
  if (wanted !== 'running') return wanted === 'stopped' ? 'draining' : wanted;
  return seen > seenAfter ? 'running' : 'suspected';
}

/** Load is left out: it changes all the time, and nobody's list changes with it. */
function versionOf(holders: readonly Holder[]): string {
  const lines = holders.map(
    ({ id, name, zone, url, state, has }) => [id, name, zone, url, state, has] as const,
  );
  lines.sort(([one], [other]) => (one < other ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(lines)).digest('base64url').slice(0, 22);
}
