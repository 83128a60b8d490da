import type { Transaction } from 'kysely';

import { MOST_NAME_LENGTH } from '../../core/api/common.ts';
import { foldName } from '../../core/fold-name.ts';
import type { NewEvent } from '../../database/append-events.ts';
import { newId } from '../../database/ids.ts';
import { audit } from '../accounts/audit.ts';
import type { Tables } from '../../database/tables.ts';

/** Files named in one `file.published` event; the rest are counted. */
const MOST_NAMED = 20;
/** Times that a name is chosen anew when somebody else took it meanwhile. */
const MOST_ROUNDS = 5;

/** A content with a known manifest, and the name that a server has it under. */
export interface Candidate {
  readonly contentId: number;
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

/** The server that tells of the contents. */
export interface Teller {
  readonly number: number;
  readonly id: string;
  readonly name: string;
  /** Which telling of all its holdings this is: what it told in earlier ones may be gone. */
  readonly listing: number;
}

interface Taken {
  readonly id: string;
  /** Somebody published it: it keeps its name though all its servers be dead. */
  readonly isPublished: boolean;
  readonly contentId: number;
  readonly manifest: string;
}

/**
 * Makes files of contents that have none:
 * - a content that a file has already stays that file, under whatever name;
 * - a deleted one stays deleted while any server held it before this telling (`heldBefore`);
 * - a name that another content has passes on when nobody living holds that other content any more, and that file is
 *   deleted; else the new file is named NAME~ and the first digits of its digest, and people are told.
 *
 * @returns what to tell
 */
export async function makeFiles(
  db: Transaction<Tables>,
  teller: Teller,
  candidates: readonly Candidate[],
  heldBefore: ReadonlySet<number>,
  now: number,
): Promise<NewEvent[]> {
  const events: NewEvent[] = [];
  const made: { id: string; name: string; size: number }[] = [];
  let open = await withoutFile(db, candidates, heldBefore);
  for (let round = 0; open.length > 0 && round < MOST_ROUNDS; round++) {
    const named = await chooseNames(db, teller, open, now);
    const rows = named.rows.map(({ candidate, name }) => ({
      id: newId(now),
      name,
      name_folded: foldName(name),
      content_id: candidate.contentId,
      size: candidate.size,
      visibility: 'everyone' as const,
      owner_id: null,
      deleted_at: null,
      created_at: now,
    }));
    const inserted = await db
      .insertInto('files')
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .returning(['id', 'name', 'size', 'content_id'])
      .execute();
    const idOf = new Map(inserted.map((row) => [row.content_id, row.id]));
    events.push(...named.events, ...clashes(named.rows, idOf, teller));
    made.push(...inserted.map(({ id, name, size }) => ({ id, name, size })));
    open = open.filter(({ contentId }) => !idOf.has(contentId));
  }
  if (made.length > 0) {
    const data = {
      server: teller.id,
      serverName: teller.name,
      count: made.length,
      files: made.slice(0, MOST_NAMED),
    };
    events.push({ kind: 'file.published', audience: 'people', data });
  }
  return events;
}

async function withoutFile(
  db: Transaction<Tables>,
  candidates: readonly Candidate[],
  heldBefore: ReadonlySet<number>,
): Promise<Candidate[]> {
  if (candidates.length === 0) return [];
  const ids = candidates.map(({ contentId }) => contentId);
  const rows = await db
    .selectFrom('files')
    .select(['content_id', 'deleted_at'])
    .where('content_id', 'in', ids)
    .execute();
  const taken = new Set<number>();
  for (const { content_id: id, deleted_at: deletedAt } of rows) {
    if (deletedAt === null || heldBefore.has(id)) taken.add(id);
  }
  return [...new Map(candidates.map((each) => [each.contentId, each])).values()].filter(
    ({ contentId }) => !taken.has(contentId),
  );
}

interface Named {
  readonly candidate: Candidate;
  readonly name: string;
}

async function chooseNames(
  db: Transaction<Tables>,
  teller: Teller,
  candidates: readonly Candidate[],
  now: number,
): Promise<{ rows: Named[]; events: NewEvent[] }> {
  const names = [...new Set(candidates.flatMap((each) => [each.name, ...otherNames(each)]))];
  const taken = await filesNamed(db, names);
  const rows: Named[] = [];
  const events: NewEvent[] = [];
  const used = new Set<string>();
  for (const candidate of candidates) {
    const before = taken.get(candidate.name);
    if (
      before !== undefined &&
      !used.has(candidate.name) &&
      !(await isHeld(db, teller, before, candidate.name))
    ) {
      events.push(await passNameOn(db, teller, { file: before, name: candidate.name }, now));
      taken.delete(candidate.name);
    }
    const free = [candidate.name, ...otherNames(candidate)].find(
      (name) => !taken.has(name) && !used.has(name),
    );
    // Not even the whole digest is free: a person has given that very name to another file. It stays without a file.
    if (free === undefined) continue;
    used.add(free);
    rows.push({ candidate, name: free });
  }
  return { rows, events };
}

function otherNames({ name, sha256 }: Candidate): string[] {
  return [8, 16, 64].map(
    (digits) => `${name.slice(0, MOST_NAME_LENGTH - 1 - digits)}~${sha256.slice(0, digits)}`,
  );
}

async function filesNamed(db: Transaction<Tables>, names: readonly string[]): Promise<Map<string, Taken>> {
  const rows = await db
    .selectFrom('files')
    .innerJoin('contents', 'contents.id', 'files.content_id')
    .select(['files.name', 'files.id', 'files.content_id', 'files.replicas', 'contents.manifest_sha256'])
    .where('files.deleted_at', 'is', null)
    .where('files.name', 'in', names)
    .execute();
  return new Map(
    rows.map((row) => [
      row.name,
      {
        id: row.id,
        isPublished: row.replicas !== null,
        contentId: row.content_id,
        manifest: row.manifest_sha256,
      },
    ]),
  );
}

/** Whether somebody living holds it. What this server had under the same name, and has not told again, it has replaced. */
async function isHeld(db: Transaction<Tables>, teller: Teller, file: Taken, name: string): Promise<boolean> {
  if (file.isPublished) return true;
  const row = await db
    .selectFrom('holdings')
    .innerJoin('servers', 'servers.number', 'holdings.server_number')
    .select('holdings.server_number')
    .where('holdings.content_id', '=', file.contentId)
    .where('servers.state', '!=', 'dead')
    .where((eb) =>
      eb.not(
        eb.and([
          eb('holdings.server_number', '=', teller.number),
          eb('holdings.listing', '<', teller.listing),
          eb('holdings.name', '=', name),
        ]),
      ),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Deletes a file that nobody living holds, for its name. Nobody meant to withdraw its content: the dead, should they come
 * back, tell all again, and it gets a file of another name.
 */
async function passNameOn(
  db: Transaction<Tables>,
  teller: Teller,
  { file, name }: { readonly file: Taken; readonly name: string },
  now: number,
): Promise<NewEvent> {
  await db.updateTable('files').set({ deleted_at: now }).where('id', '=', file.id).execute();
  const lost = await db
    .deleteFrom('holdings')
    .where('content_id', '=', file.contentId)
    .returning('server_number')
    .execute();
  for (const { server_number: number } of lost) {
    await db
      .updateTable('servers')
      .set((eb) => ({
        files: eb('files', '-', 1),
        ...(number === teller.number ? {} : { holdings_version: 0 }),
      }))
      .where('number', '=', number)
      .execute();
  }
  const details = { name, passedOn: true };
  await audit(db, { at: now, by: { name: teller.name }, action: 'file.deleted', subject: file.id, details });
  const data = { file: file.id, manifest: file.manifest, withdraw: false };
  return { kind: 'file.deleted', audience: 'all', data };
}

function clashes(rows: readonly Named[], idOf: ReadonlyMap<number, string>, teller: Teller): NewEvent[] {
  return rows.flatMap(({ candidate, name }) => {
    const id = idOf.get(candidate.contentId);
    if (id === undefined || name === candidate.name) return [];
    const data = { file: id, name, wanted: candidate.name, server: teller.id, serverName: teller.name };
    return [{ kind: 'file.clash', audience: 'people' as const, data }];
  });
}
