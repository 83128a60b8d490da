import type { ServerCommand } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { appendEvents } from '../../database/append-events.ts';
import type { ServerRow } from '../../database/tables.ts';
import { audit, type Actor } from '../accounts/audit.ts';
import type { Context } from '../context.ts';
import { findServerRow } from './server-list.ts';
import { lookAtPublished } from './stored.ts';

/** Holdings deleted in one transaction: on SQLite everyone else who writes waits for it. */
const FORGOTTEN_AT_ONCE = 5_000;

const WANTED = { pause: 'paused', resume: 'running', drain: 'draining', stop: 'stopped' } as const;
const DONE = {
  pause: 'server.paused',
  resume: 'server.resumed',
  drain: 'server.drained',
  stop: 'server.stopped',
} as const;

/**
 * Says what an operator wants of a server. It learns of it by an event, or by the answer to its next heartbeat; its state
 * changes when it says so.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`, `HW_CONFLICT` (it has stopped: it has to be started where it runs)
 */
export async function commandServer(
  context: Context,
  idOrName: string,
  command: ServerCommand,
  by: Actor,
): Promise<ServerRow> {
  const { database } = context;
  const { number, name, state } = await findServerRow(context, idOrName);
  if (state === 'stopped' && command !== 'stop') {
    const said = `${name} has stopped: start it where it runs, with headwater file-server`;
    throw new HeadwaterError('HW_CONFLICT', said, { details: { server: name, state } });
  }
  return database.transaction(async (db) => {
    const now = context.now();
    const row = await db
      .updateTable('servers')
      .set((eb) => ({ wanted: WANTED[command], command_revision: eb('command_revision', '+', 1) }))
      .where('number', '=', number)
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw new HeadwaterError('HW_NOT_FOUND', `${name} was forgotten just now`);
    const details = { name: row.name, command };
    await audit(db, { at: now, by, action: DONE[command], subject: row.id, details });
    const data = { server: row.id, name: row.name, command, revision: row.command_revision };
    const event = { kind: 'server.command', audience: { servers: [row.id] }, data };
    await appendEvents(db, database.kind, [event], now);
    return row;
  });
}

/**
 * Forgets a server that is gone for good, with its holdings and its token.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`, `HW_CONFLICT` (it is neither dead nor stopped)
 */
export async function forgetServer(context: Context, idOrName: string, by: Actor): Promise<void> {
  const { database } = context;
  const { queries } = database;
  const { number } = await findServerRow(context, idOrName);
  const gone = queries.selectFrom('servers').select('number').where('number', '=', number);
  for (;;) {
    // Looked at each time: it may come back meanwhile.
    checkGone(await findServerRow(context, idOrName));
    const some = queries
      .selectFrom('holdings')
      .select('content_id')
      .where('server_number', '=', number)
      .limit(FORGOTTEN_AT_ONCE);
    const deleted = await queries
      .deleteFrom('holdings')
      .where('server_number', '=', number)
      .where('server_number', 'in', gone.where('state', 'in', ['dead', 'stopped']))
      .where('content_id', 'in', some)
      .returning('content_id')
      .execute();
    // Should it come back before the end, it has to tell all again.
    if (deleted.length > 0) {
      const contents = deleted.map((row) => row.content_id);
      await lookAtPublished(queries, contents, context.now());
      await queries
        .updateTable('servers')
        .set({ holdings_version: 0 })
        .where('number', '=', number)
        .execute();
    }
    if (deleted.length < FORGOTTEN_AT_ONCE) break;
  }
  await database.transaction(async (db) => {
    const now = context.now();
    const row = await db
      .deleteFrom('servers')
      .where('number', '=', number)
      .where('state', 'in', ['dead', 'stopped'])
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw notGone(await findServerRow(context, idOrName));
    await audit(db, {
      at: now,
      by,
      action: 'server.forgotten',
      subject: row.id,
      details: { name: row.name },
    });
    const data = { server: row.id, name: row.name, zone: row.zone };
    await appendEvents(db, database.kind, [{ kind: 'server.gone', audience: 'people', data }], now);
  });
}

function checkGone(row: ServerRow): void {
  if (row.state !== 'dead' && row.state !== 'stopped') throw notGone(row);
}

function notGone({ name, state }: ServerRow): HeadwaterError {
  const said = `${name} is ${state}: stop it first; only a server that is dead or has stopped is forgotten`;
  return new HeadwaterError('HW_CONFLICT', said, { details: { server: name, state } });
}
