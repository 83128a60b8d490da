import { randomBytes } from 'node:crypto';

import { sql, type Transaction } from 'kysely';

import type { Registered, Registration } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import { newId } from '../../database/ids.ts';
import type { ServerRow, Tables } from '../../database/tables.ts';
import { audit } from '../accounts/audit.ts';
import { digestOf } from '../authentication.ts';
import type { Context } from '../context.ts';
import { Batcher } from './batcher.ts';
import { isSameDigest, superseded, unknownToken } from './server-token.ts';
import { stateEvent } from './state-event.ts';

/** Number of the PostgreSQL lock under which servers register, one after the other. */
const LOCK = 0x6865_6166;

/** Registrations of one transaction. */
const MOST_REGISTRATIONS = 50;

/** What registering changes in the database. */
export type Joined = Pick<Registered, 'id' | 'token' | 'holdingsVersion' | 'wanted' | 'position'>;

/**
 * Takes a file server into the fleet, or back. Who it is is its id, never its name or address:
 * - with its own token, or the join token and an id it kept: the same server, which keeps its holdings, and whatever an
 *   operator wanted of it (but one that was told to stop and was started again is to run);
 * - of two processes with one id the later `instance` counts; the older one is refused from now on;
 * - the same process asking again (its first answer was lost on the way) gets the same server, with a fresh token;
 * - a name belongs to the server that has it until that is dead or has stopped: then another may take it, and the old
 *   one, should it come back, is told to take another name. Their holdings are never mixed up.
 *
 * @throws HeadwaterError `HW_TOKEN_INVALID`, `HW_SUPERSEDED`, `HW_CONFLICT` (the name is taken)
 */
async function register(
  context: Context,
  db: Transaction<Tables>,
  { told, token, address, events }: Registering & { events: NewEvent[] },
): Promise<Joined> {
  const digest = digestOf(token);
  const now = context.now();
  const known = await findServer(db, told, digest);
  if (known !== undefined && told.instance < known.instance) {
    throw superseded(known.name, { instance: told.instance, current: known.instance });
  }
  const name = { sameAs: known?.id, wanted: told.name };
  await freeName(db, name);
  const own = known?.token_digest === digest ? token : `hws_${randomBytes(32).toString('base64url')}`;
  const wanted = known === undefined || known.wanted === 'stopped' ? 'running' : known.wanted;
  const row = {
    name: told.name,
    zone: told.zone,
    url: told.url,
    token_digest: digestOf(own),
    instance: told.instance,
    state: wanted,
    wanted,
    version: told.version,
    capacity: told.capacity ?? null,
    last_seen_at: now,
  };
  const id = known?.id ?? told.id ?? newId(now);
  if (known === undefined) {
    await db
      .insertInto('servers')
      .values({ ...row, ...FRESH, id, registered_at: now })
      .execute();
  } else await db.updateTable('servers').set(row).where('number', '=', known.number).execute();
  if (known?.token_digest !== row.token_digest || known.name !== told.name || known.url !== told.url) {
    // A start with nothing new is none of the changes that are kept for good.
    const details = { name: told.name, zone: told.zone, url: told.url, again: known !== undefined };
    const by = { name: told.name, address };
    await audit(db, { at: now, by, action: 'server.registered', subject: id, details });
  }
  if (known?.instance !== told.instance) {
    const { version, url, zone } = told;
    const data = { server: id, name: told.name, zone, url, version, again: known !== undefined };
    events.push({ kind: 'server.joined', audience: 'people', data });
  }
  if (known !== undefined && known.state !== wanted) {
    events.push(stateEvent({ ...known, name: told.name, zone: told.zone }, wanted, 'registered'));
  }
  const holdingsVersion = known === undefined ? 0 : await holdingsKnown(db, known);
  return { id, token: own, holdingsVersion, wanted, position: await newestPosition(db) };
}

interface Registering {
  readonly told: Registration;
  /** The join token, or the server's own. */
  readonly token: string;
  /** Network address that it came from. */
  readonly address: string;
}

/** Takes file servers in, many in one transaction: after an outage all 2,000 come at once. */
export class Registrations {
  readonly #context: Context;
  readonly #batcher: Batcher<Registering, Joined>;

  constructor(context: Context) {
    this.#context = context;
    this.#batcher = new Batcher({ window: 0, most: MOST_REGISTRATIONS, work: (batch) => this.#write(batch) });
  }

  /**
   * @throws HeadwaterError `HW_TOKEN_INVALID`, `HW_SUPERSEDED`, `HW_CONFLICT` (the name is taken), `HW_DATABASE`
   */
  take(told: Registration, from: Omit<Registering, 'told'>): Promise<Joined> {
    return this.#batcher.add({ told, ...from });
  }

  close(): Promise<void> {
    return this.#batcher.close();
  }

  #write(batch: readonly Registering[]): Promise<(Joined | HeadwaterError)[]> {
    const { database, now } = this.#context;
    return database.transaction(async (db) => {
      if (database.kind === 'postgresql') await sql`select pg_advisory_xact_lock(${LOCK})`.execute(db);
      const events: NewEvent[] = [];
      const answers: (Joined | HeadwaterError)[] = [];
      for (const each of batch) {
        try {
          answers.push(await register(this.#context, db, { ...each, events }));
        } catch (error) {
          // Thrown before anything of this one was written; what the database refuses undoes the batch.
          if (!(error instanceof HeadwaterError) || error.remedy === 'wait') throw error;
          answers.push(error);
        }
      }
      await appendEvents(db, database.kind, events, now());
      return answers;
    });
  }
}

const FRESH = {
  command_revision: 0,
  answers: 0,
  clients: 0,
  rate: 0,
  bytes_sent: 0,
  clock_ahead: 0,
  holdings_version: 0,
  holdings_listing: 0,
  holdings_open: 0,
  files: 0,
};

async function findServer(
  db: Transaction<Tables>,
  told: Registration,
  digest: string,
): Promise<ServerRow | undefined> {
  const join = await db
    .selectFrom('fleet')
    .select('value')
    .where('key', '=', 'join-token')
    .executeTakeFirst();
  const servers = db.selectFrom('servers').selectAll();
  if (join === undefined || !isSameDigest(join.value, digest)) {
    const own = await servers.where('token_digest', '=', digest).executeTakeFirst();
    if (own === undefined) throw unknownToken();
    if (told.id === undefined || told.id === own.id) return own;
    const said = `the token is that of the server ${own.id}, and the id is ${told.id}`;
    throw new HeadwaterError('HW_CONFLICT', said, { details: { field: 'id', id: own.id } });
  }
  if (told.id !== undefined) return servers.where('id', '=', told.id).executeTakeFirst();
  // The same process asking again: what it was answered before, its id, has not reached it.
  return servers
    .where('name', '=', told.name)
    .where('instance', '=', told.instance)
    .where('url', '=', told.url)
    .executeTakeFirst();
}

/** Takes the name away from a server that is gone; refuses one that somebody living has. */
async function freeName(
  db: Transaction<Tables>,
  name: { sameAs: string | undefined; wanted: string },
): Promise<void> {
  const holder = await db
    .selectFrom('servers')
    .select(['number', 'id', 'url', 'state'])
    .where('name', '=', name.wanted)
    .executeTakeFirst();
  if (holder === undefined || holder.id === name.sameAs) return;
  if (holder.state !== 'dead' && holder.state !== 'stopped') {
    const said = `the name ${name.wanted} belongs to the server ${holder.id} at ${holder.url}, which is ${holder.state}: choose another with --name`;
    throw new HeadwaterError('HW_CONFLICT', said, { details: { field: 'name', id: holder.id } });
  }
  const former = `${name.wanted}~${holder.id}`;
  await db.updateTable('servers').set({ name: former }).where('number', '=', holder.number).execute();
}

/** What the server may go on from; 0 while a manifest is missing that it had not sent when it was here last. */
async function holdingsKnown(db: Transaction<Tables>, row: ServerRow): Promise<number> {
  if (row.holdings_open !== 0) return 0;
  const missing = await db
    .selectFrom('contents')
    .innerJoin('holdings', 'holdings.content_id', 'contents.id')
    .select('contents.id')
    .where('contents.chunk_digests', 'is', null)
    .where('holdings.server_number', '=', row.number)
    .limit(1)
    .executeTakeFirst();
  return missing === undefined ? row.holdings_version : 0;
}

async function newestPosition(db: Transaction<Tables>): Promise<number> {
  const row = await db
    .selectFrom('events')
    .select(({ fn }) => fn.max('position').as('position'))
    .executeTakeFirst();
  return row?.position ?? 0;
}
