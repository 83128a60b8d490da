import { sql, type RawBuilder, type Transaction } from 'kysely';
import type { z } from 'zod';

import type { Heartbeat } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import type { DatabaseKind } from '../../database/database.ts';
import type { ServerRow, Tables } from '../../database/tables.ts';
import type { Context } from '../context.ts';
import { perContext } from '../per-context.ts';
import { Batcher } from './batcher.ts';
import { checkInstance, unknownToken } from './server-token.ts';
import { sourceWatchOf } from '../grants/source-watch.ts';
import { stateEvent } from './state-event.ts';

/** Milliseconds between two batches: 2,000 servers make five transactions a second with 200 heartbeats each. */
const HEARTBEAT_WINDOW = 200;
/** Heartbeats of one transaction: some ten milliseconds, and those behind them wait no longer. */
const MOST_HEARTBEATS = 1_000;
/** Milliseconds that a server's clock may be off before people are told: no clock that is kept right is off so far. */
const MOST_CLOCK_ERROR = 5_000;

interface Beat {
  readonly id: string;
  readonly tokenDigest: string;
  readonly told: z.output<typeof Heartbeat>;
  /** When it came, milliseconds since 1970. */
  readonly at: number;
}

/** What the server is told. */
export interface BeatAnswer {
  readonly wanted: ServerRow['wanted'];
  readonly holdingsVersion: number;
}

const COLUMNS = [
  'number',
  'id',
  'name',
  'zone',
  'state',
  'wanted',
  'instance',
  'token_digest',
  'holdings_version',
  'holdings_open',
  'clock_ahead',
] as const;
type Row = Pick<ServerRow, (typeof COLUMNS)[number]>;

/** Writes down heartbeats, many in one transaction. A server whose state changes is so at once for everyone. */
class Heartbeats {
  readonly #context: Context;
  readonly #batcher: Batcher<Beat, BeatAnswer>;
  /** What each server said last of its state, here: another is written at once. */
  readonly #states = new Map<string, ServerRow['state']>();

  constructor(context: Context) {
    this.#context = context;
    this.#batcher = new Batcher({
      window: HEARTBEAT_WINDOW,
      most: MOST_HEARTBEATS,
      work: (beats) => this.#write(beats),
    });
  }

  /**
   * @throws HeadwaterError `HW_TOKEN_INVALID`, `HW_FORBIDDEN`, `HW_SUPERSEDED`, `HW_CONFLICT` (not registered),
   *   `HW_DATABASE`
   */
  async take(id: string, tokenDigest: string, told: z.output<typeof Heartbeat>): Promise<BeatAnswer> {
    const isNews = this.#states.get(id) !== told.state;
    const answer = await this.#batcher.add({ id, tokenDigest, told, at: this.#context.now() }, isNews);
    if (isNews) sourceWatchOf(this.#context).changed();
    return answer;
  }

  /** Milliseconds for which the oldest heartbeat has waited to be written; 0: none waits. */
  get waited(): number {
    return this.#batcher.waited;
  }

  close(): Promise<void> {
    return this.#batcher.close();
  }

  #write(beats: readonly Beat[]): Promise<(BeatAnswer | HeadwaterError)[]> {
    const { database } = this.#context;
    return database.transaction(async (db) => {
      const query = db
        .selectFrom('servers')
        .select(COLUMNS)
        .where('id', 'in', listed(database.kind, [...new Set(beats.map(({ id }) => id))]))
        // Always in the same order, so that two information servers never wait for each other in a circle.
        .orderBy('number');
      const rows = await (database.kind === 'postgresql' ? query.forNoKeyUpdate() : query).execute();
      const byId = new Map(rows.map((row) => [row.id, row]));
      const good = new Map<Row, Beat>();
      const answers = beats.map((beat) => {
        const row = byId.get(beat.id);
        const wrong = whatIsWrong(row, beat);
        if (wrong !== undefined || row === undefined) return wrong ?? unknownToken();
        good.set(row, beat);
        const holdingsVersion = row.holdings_version;
        return { wanted: row.wanted, holdingsVersion };
      });
      if (good.size === 0) return answers;
      await update(db, database.kind, good);
      for (const [row, beat] of good) this.#states.set(row.id, beat.told.state);
      const events = [...good].flatMap(([row, beat]) => eventsOf(row, beat));
      await appendEvents(db, database.kind, events, this.#context.now());
      return answers;
    });
  }
}

function listed(kind: DatabaseKind, ids: readonly string[]): RawBuilder<string> {
  const json = JSON.stringify(ids);
  return kind === 'postgresql'
    ? sql<string>`(select json_array_elements_text(${json}::json))`
    : sql<string>`(select value from json_each(${json}))`;
}

function whatIsWrong(row: Row | undefined, beat: Beat): HeadwaterError | undefined {
  if (row === undefined || row.token_digest !== beat.tokenDigest) return unknownToken();
  try {
    checkInstance(row, beat.told.instance);
    return undefined;
  } catch (error) {
    return error as HeadwaterError;
  }
}

function aheadOf({ told, at }: Beat): number {
  return Math.round(Date.parse(told.time) - at);
}

function eventsOf(row: Row, beat: Beat): NewEvent[] {
  const { state } = beat.told;
  const events: NewEvent[] = [];
  if (row.state !== state) {
    const wasSilent = row.state === 'suspected' || row.state === 'dead';
    events.push(stateEvent(row, state, wasSilent ? 'heard' : 'said'));
  }
  const ahead = aheadOf(beat);
  const wasWrong = Math.abs(row.clock_ahead) > MOST_CLOCK_ERROR;
  const isWrong = Math.abs(ahead) > MOST_CLOCK_ERROR;
  if (wasWrong !== isWrong) {
    const data = { server: row.id, name: row.name, secondsAhead: ahead / 1000, right: !isWrong };
    events.push({ kind: 'server.clock', audience: 'people', data });
  }
  return events;
}

/** One parameter for any number of rows: the statement is made and prepared once, which is most of what it costs. */
async function update(
  db: Transaction<Tables>,
  kind: DatabaseKind,
  good: ReadonlyMap<Row, Beat>,
): Promise<void> {
  const json = JSON.stringify(
    [...good].map(([row, beat]) => {
      const { state, answers, clients, rate, bytesSent, free = null, store } = beat.told;
      const load = [answers, clients, rate, bytesSent, free, aheadOf(beat), beat.at];
      const stored = [
        store?.capacity ?? null,
        Number(store?.open === true),
        store?.chunks ?? 0,
        store?.bytes ?? 0,
      ];
      return [row.number, state, ...load, ...stored];
    }),
  );
  const values =
    kind === 'postgresql'
      ? sql`select (row ->> 0)::bigint, row ->> 1, (row ->> 2)::bigint, (row ->> 3)::bigint,
          (row ->> 4)::double precision, (row ->> 5)::bigint, (row ->> 6)::bigint, (row ->> 7)::bigint,
          (row ->> 8)::bigint, (row ->> 9)::bigint, (row ->> 10)::integer, (row ->> 11)::bigint, (row ->> 12)::bigint
          from json_array_elements(${json}::json) as rows (row)`
      : sql`select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
          value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12 from json_each(${json})`;
  await sql`
    with told (number, state, answers, clients, rate, bytes_sent, free, clock_ahead, at,
      store_capacity, store_open, store_chunks, store_bytes) as materialized (${values})
    update servers set state = told.state, answers = told.answers, clients = told.clients, rate = told.rate,
      bytes_sent = told.bytes_sent, free = told.free, clock_ahead = told.clock_ahead, last_seen_at = told.at,
      store_capacity = told.store_capacity, store_open = told.store_open, store_chunks = told.store_chunks,
      store_bytes = told.store_bytes
    from told where servers.number = told.number`.execute(db);
}

/** Those of one information server. */
export const heartbeatsOf = perContext((context) => new Heartbeats(context));
