import { sql, type Transaction } from 'kysely';
import type { z } from 'zod';

import type { Heartbeat } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import type { ServerRow, Tables } from '../../database/tables.ts';
import type { Context } from '../context.ts';
import { Batcher } from './batcher.ts';
import { checkInstance, unknownToken } from './server-token.ts';
import { sourceWatchOf } from '../grants/source-watch.ts';
import { stateEvent } from './state-event.ts';

/** Milliseconds between two batches: 2,000 servers make five transactions a second with 200 heartbeats each. */
const HEARTBEAT_WINDOW = 200;
/** Heartbeats of one transaction: fourteen values each, and SQLite takes 32,766. */
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
export class Heartbeats {
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

  close(): Promise<void> {
    return this.#batcher.close();
  }

  #write(beats: readonly Beat[]): Promise<(BeatAnswer | HeadwaterError)[]> {
    const { database } = this.#context;
    return database.transaction(async (db) => {
      const query = db
        .selectFrom('servers')
        .select(COLUMNS)
        .where('id', 'in', [...new Set(beats.map(({ id }) => id))])
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
      await update(db, good);
      for (const [row, beat] of good) this.#states.set(row.id, beat.told.state);
      const events = [...good].flatMap(([row, beat]) => eventsOf(row, beat));
      await appendEvents(db, database.kind, events, this.#context.now());
      return answers;
    });
  }
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

async function update(db: Transaction<Tables>, good: ReadonlyMap<Row, Beat>): Promise<void> {
  const values = [...good].map(([row, beat]) => {
    const { state, answers, clients, rate, bytesSent, free = null, store } = beat.told;
    return sql`(cast(${row.number} as bigint), cast(${state} as text), cast(${answers} as bigint),
      cast(${clients} as bigint), cast(${rate} as double precision), cast(${bytesSent} as bigint),
      cast(${free} as bigint), cast(${aheadOf(beat)} as bigint), cast(${beat.at} as bigint),
      cast(${store?.capacity ?? null} as bigint), cast(${store?.open === true ? 1 : 0} as integer),
      cast(${store?.chunks ?? 0} as bigint), cast(${store?.bytes ?? 0} as bigint))`;
  });
  await sql`
    with told (number, state, answers, clients, rate, bytes_sent, free, clock_ahead, at,
      store_capacity, store_open, store_chunks, store_bytes) as (values ${sql.join(values)})
    update servers set state = told.state, answers = told.answers, clients = told.clients, rate = told.rate,
      bytes_sent = told.bytes_sent, free = told.free, clock_ahead = told.clock_ahead, last_seen_at = told.at,
      store_capacity = told.store_capacity, store_open = told.store_open, store_chunks = told.store_chunks,
      store_bytes = told.store_bytes
    from told where servers.number = told.number`.execute(db);
}
