import { sql, type Transaction } from 'kysely';
import type { z } from 'zod';

import { type AnnouncedFile, type Announcement, type AnnouncementAnswer } from '../../core/api/servers.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import type { Database } from '../../database/database.ts';
import type { ServerRow, Tables } from '../../database/tables.ts';
import type { Context } from '../context.ts';
import { inTurn } from './catalogue-turn.ts';
import { makeFiles, type Candidate } from './file-rows.ts';
import { bitmapOf } from './has-bitmap.ts';
import { storedForm } from './holding-form.ts';
import { lastHoldersGone, shrunk } from './holding-losses.ts';
import { isSameHolding, keptManifests, lookAtPublished } from './stored.ts';
import { checkInstance, unknownToken } from './server-token.ts';

type Told = z.output<typeof Announcement>;
type File = z.output<typeof AnnouncedFile>;

/** Most chunks of one file: 16 TB at the largest chunk size. Bounds the manifest, and what a bitmap takes in memory. */
export const MOST_CHUNKS = 262_144;
/** Holdings deleted by one statement. */
const FORGOTTEN_AT_ONCE = 5_000;

/**
 * Takes in what a file server says of its holdings: all in one transaction.
 *
 * @throws HeadwaterError `HW_SUPERSEDED`, `HW_CONFLICT` (another version is known: details.holdingsVersion),
 *   `HW_USAGE` (chunks that the file does not have), `HW_DATABASE`
 */
export async function announce(context: Context, id: string, told: Told): Promise<AnnouncementAnswer> {
  const files = [...new Map(told.added.map((file) => [file.manifestSha256, file])).values()].sort(byManifest);
  const bitmaps = files.map((file) => bitmapOfFile(file, told.added.indexOf(file)));
  const { database } = context;
  return inTurn(context, async (db) => {
    const server = await lockServer(database, db, id);
    checkInstance(server, told.instance);
    const unwanted = await unwantedOf(db, files);
    if (isRepeated(server, told)) {
      const contents = await contentsOf(db, files);
      return {
        holdingsVersion: server.holdings_version,
        wanted: wantedOf([...contents.values()]),
        refused: [],
        unwanted: [...unwanted],
      };
    }
    checkVersion(server, told);
    const now = context.now();
    const anew = told.from === 0;
    const listing = anew ? server.holdings_listing + 1 : server.holdings_listing;
    const isOpen = anew || server.holdings_open !== 0;
    const teller = { number: server.number, id: server.id, name: server.name, listing };
    const events: NewEvent[] = [];
    const gone = await remove(db, server.number, told.removed);
    const taken = await add(db, { teller, files, bitmaps, unwanted, now, events });
    if (isOpen && told.last) gone.push(...(await forgetOlder(db, server.number, listing)));
    events.push(...(await lastHoldersGone(db, teller, gone)));
    await lookAtPublished(db, [...gone, ...taken.changed], now);
    await db
      .updateTable('servers')
      .set((eb) => ({
        holdings_version: told.to,
        holdings_listing: listing,
        holdings_open: isOpen && !told.last ? 1 : 0,
        files: eb('files', '+', taken.fresh - gone.length),
      }))
      .where('number', '=', server.number)
      .execute();
    await appendEvents(db, database.kind, events, now);
    return {
      holdingsVersion: told.to,
      wanted: taken.wanted,
      refused: taken.refused,
      unwanted: [...unwanted],
    };
  });
}

async function lockServer(database: Database, db: Transaction<Tables>, id: string): Promise<ServerRow> {
  const query = db.selectFrom('servers').selectAll().where('id', '=', id);
  const row = await (database.kind === 'postgresql' ? query.forNoKeyUpdate() : query).executeTakeFirst();
  if (row === undefined) throw unknownToken();
  return row;
}

/** Its answer was lost on the way: what it tells is done. */
function isRepeated(server: ServerRow, told: Told): boolean {
  return told.from !== 0 && told.to === server.holdings_version;
}

function checkVersion(server: ServerRow, told: Told): void {
  if (told.from === 0 || told.from === server.holdings_version) return;
  const said = `version ${server.holdings_version} of the holdings of ${server.name} is known here, not ${told.from}: tell all from 0`;
  throw new HeadwaterError('HW_CONFLICT', said, { details: { holdingsVersion: server.holdings_version } });
}

/**
 * What it keeps in its chunk store for nobody any more. A content that no file here ever had is not among it: after a
 * backup was put back, what was published since is known by those alone who hold it.
 */
async function unwantedOf(db: Transaction<Tables>, files: readonly File[]): Promise<Set<string>> {
  const stored = files.filter((file) => file.stored);
  const kept = await keptManifests(
    db,
    stored.map((file) => file.manifestSha256),
  );
  if (stored.length === 0) return new Set();
  // The mark of a deleted file stays as long as somebody has its content.
  const deleted = await db
    .selectFrom('files')
    .innerJoin('contents', 'contents.id', 'files.content_id')
    .select('contents.manifest_sha256 as manifest')
    .where(
      'contents.manifest_sha256',
      'in',
      stored.map((file) => file.manifestSha256),
    )
    .where('files.deleted_at', 'is not', null)
    .execute();
  return new Set(deleted.map(({ manifest }) => manifest).filter((manifest) => !kept.has(manifest)));
}

function byManifest(one: File, other: File): number {
  return one.manifestSha256 < other.manifestSha256 ? -1 : 1;
}

function bitmapOfFile(file: File, index: number): Uint8Array | null {
  const { count } = new ChunkLayout(file.size);
  if (count > MOST_CHUNKS) {
    const said = `${file.name} has ${file.size} bytes: a fleet takes files of up to ${MOST_CHUNKS} chunks`;
    throw new HeadwaterError('HW_USAGE', said, { details: { field: `added.${index}.size` } });
  }
  const bitmap = bitmapOf(file.has, count);
  if (bitmap === undefined) {
    const said = `${file.name} has ${count} chunks, and "has" is not ascending ranges of them`;
    throw new HeadwaterError('HW_USAGE', said, { details: { field: `added.${index}.has` } });
  }
  return bitmap;
}

interface ContentFacts {
  readonly id: number;
  readonly manifest_sha256: string;
  readonly sha256: string;
  readonly size: number;
  /** 1 once its manifest is here. */
  readonly known: number;
}

async function contentsOf(
  db: Transaction<Tables>,
  files: readonly File[],
): Promise<Map<string, ContentFacts>> {
  if (files.length === 0) return new Map();
  const rows = await db
    .selectFrom('contents')
    .select(['id', 'manifest_sha256', 'sha256', 'size'])
    .select(sql<number>`case when chunk_digests is null then 0 else 1 end`.as('known'))
    .where(
      'manifest_sha256',
      'in',
      files.map((file) => file.manifestSha256),
    )
    .execute();
  return new Map(rows.map((row) => [row.manifest_sha256, row]));
}

function wantedOf(contents: readonly ContentFacts[]): string[] {
  return contents.filter(({ known }) => known === 0).map((content) => content.manifest_sha256);
}

interface Addition {
  readonly teller: Parameters<typeof makeFiles>[1];
  readonly files: readonly File[];
  readonly bitmaps: readonly (Uint8Array | null)[];
  /** Digests of manifests that are not taken. */
  readonly unwanted: ReadonlySet<string>;
  readonly now: number;
  /** Where what happened is told. */
  readonly events: NewEvent[];
}

interface Taken {
  /** Holdings that were not there before. */
  readonly fresh: number;
  readonly wanted: string[];
  readonly refused: string[];
  /** Contents of which the chunk store has other chunks than before. */
  readonly changed: number[];
}

async function add(db: Transaction<Tables>, addition: Addition): Promise<Taken> {
  const { teller, files, bitmaps, unwanted, now, events } = addition;
  const taken = files.filter((file) => !unwanted.has(file.manifestSha256));
  if (taken.length === 0) return { fresh: 0, wanted: [], refused: [], changed: [] };
  await insertContents(db, taken, now);
  const contents = await contentsOf(db, taken);
  const refused: string[] = [];
  const rows: { content: ContentFacts; file: File; chunks: Uint8Array | null }[] = [];
  for (const [index, file] of files.entries()) {
    const content = contents.get(file.manifestSha256);
    if (content === undefined) continue;
    const isLie = content.known === 1 && (content.size !== file.size || content.sha256 !== file.sha256);
    if (isLie) refused.push(file.manifestSha256);
    else rows.push({ content, file, chunks: bitmaps[index] ?? null });
  }
  if (refused.length > 0) {
    const why = 'told a size or SHA-256 that is not that of the manifest';
    const data = {
      server: teller.id,
      name: teller.name,
      why,
      manifests: refused.slice(0, 20),
      count: refused.length,
    };
    events.push({ kind: 'server.lied', audience: 'people', data });
  }
  if (rows.length === 0) return { fresh: 0, wanted: [], refused, changed: [] };
  const ids = rows.map(({ content }) => content.id);
  const before = await db
    .selectFrom('holdings')
    .select(['content_id', 'chunks', 'stored'])
    .where('server_number', '=', teller.number)
    .where('content_id', 'in', ids)
    .execute();
  const heldBefore = await deletedAndHeld(db, ids);
  await db
    .insertInto('holdings')
    .values(
      rows.map(({ content, file, chunks }) => ({
        content_id: content.id,
        server_number: teller.number,
        chunks: storedForm(chunks),
        // Of what is stored nobody asks for it, and there are very many.
        name: file.stored ? '' : file.name,
        listing: teller.listing,
        stored: file.stored ? 1 : 0,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['content_id', 'server_number']).doUpdateSet((eb) => ({
        chunks: eb.ref('excluded.chunks'),
        name: eb.ref('excluded.name'),
        listing: eb.ref('excluded.listing'),
        stored: eb.ref('excluded.stored'),
      })),
    )
    .execute();
  events.push(...shrunk(teller, before, rows));
  const candidates: Candidate[] = rows
    .filter(({ content, file }) => content.known === 1 && !file.stored)
    .map(({ content, file }) => ({
      contentId: content.id,
      name: file.name,
      size: content.size,
      sha256: content.sha256,
    }));
  events.push(...(await makeFiles(db, teller, candidates, heldBefore, now)));
  const wanted = wantedOf(rows.map(({ content }) => content));
  const known = new Map(before.map((row) => [row.content_id, row]));
  const changed = rows.flatMap(({ content: { id }, file, chunks }) => {
    const row = known.get(id);
    const isSame =
      row !== undefined &&
      isSameHolding(row.chunks, storedForm(chunks)) &&
      row.stored === Number(file.stored);
    return isSame ? [] : [id];
  });
  return { fresh: rows.length - before.length, wanted, refused, changed };
}

async function insertContents(db: Transaction<Tables>, files: readonly File[], now: number): Promise<void> {
  await db
    .insertInto('contents')
    .values(
      files.map((file) => ({
        manifest_sha256: file.manifestSha256,
        sha256: file.sha256,
        size: file.size,
        chunk_size: new ChunkLayout(file.size).chunkSize,
        chunk_digests: null,
        created_at: now,
      })),
    )
    .onConflict((conflict) => conflict.column('manifest_sha256').doNothing())
    .execute();
}

/** Of these contents those of a deleted file that a server holds: they stay withdrawn. */
async function deletedAndHeld(db: Transaction<Tables>, ids: readonly number[]): Promise<Set<number>> {
  const rows = await db
    .selectFrom('files')
    .select('content_id')
    .where('deleted_at', 'is not', null)
    .where('content_id', 'in', ids)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('holdings')
          .select('holdings.server_number')
          .whereRef('holdings.content_id', '=', 'files.content_id'),
      ),
    )
    .execute();
  return new Set(rows.map((row) => row.content_id));
}

async function remove(
  db: Transaction<Tables>,
  number: number,
  manifests: readonly string[],
): Promise<number[]> {
  if (manifests.length === 0) return [];
  const rows = await db
    .deleteFrom('holdings')
    .where('server_number', '=', number)
    .where('content_id', 'in', (eb) =>
      eb.selectFrom('contents').select('id').where('manifest_sha256', 'in', manifests),
    )
    .returning('content_id')
    .execute();
  return rows.map((row) => row.content_id);
}

/** Forgets what was told in earlier listings only, a piece at a time: it can be all that a server had. */
async function forgetOlder(db: Transaction<Tables>, number: number, listing: number): Promise<number[]> {
  const gone: number[] = [];
  for (;;) {
    const older = db
      .selectFrom('holdings')
      .select('content_id')
      .where('server_number', '=', number)
      .where('listing', '<', listing)
      .limit(FORGOTTEN_AT_ONCE);
    const rows = await db
      .deleteFrom('holdings')
      .where('server_number', '=', number)
      .where('content_id', 'in', older)
      .returning('content_id')
      .execute();
    for (const row of rows) gone.push(row.content_id);
    if (rows.length < FORGOTTEN_AT_ONCE) return gone;
  }
}
