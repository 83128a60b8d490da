import { createHash } from 'node:crypto';

import type { Transaction } from 'kysely';

import { chunkSizeFor } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { canonicalManifest, parseManifest, type Manifest } from '../../core/manifest.ts';
import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import type { ServerRow, Tables } from '../../database/tables.ts';
import type { Context } from '../context.ts';
import { Batcher } from './batcher.ts';
import { inTurn } from './catalogue-turn.ts';
import { makeFiles, type Candidate } from './file-rows.ts';
import { MOST_CHUNKS } from './holdings.ts';

/** Longest manifest taken, bytes: 262,144 digests in quotes, and the rest. */
export const MOST_MANIFEST_TEXT = 20 * 1024 * 1024;
/** Milliseconds between two batches: a server that comes with a million files sends a million of them. */
const MANIFEST_WINDOW = 20;
/** Manifests of one transaction: those who wait for it wait no longer than for a heartbeat. */
const MOST_MANIFESTS = 256;

type Server = Pick<ServerRow, 'number' | 'id' | 'name' | 'holdings_listing'>;

interface Sent {
  readonly server: Server;
  readonly digest: string;
  readonly manifest: Manifest;
}

/** Takes manifests of announced contents, and makes their files. */
export class Manifests {
  readonly #context: Context;
  readonly #batcher: Batcher<Sent, undefined>;

  constructor(context: Context) {
    this.#context = context;
    this.#batcher = new Batcher({
      window: MANIFEST_WINDOW,
      most: MOST_MANIFESTS,
      work: (sent) => this.#write(sent),
    });
  }

  /**
   * @param text JSON, as it came
   * @throws HeadwaterError `HW_MANIFEST_INVALID` (malformed, not the one of that digest, or not what was announced: people
   *   are told that the server lied), `HW_NOT_FOUND` (the server has not announced it)
   */
  async take(server: Server, digest: string, text: string): Promise<void> {
    let manifest: Manifest;
    try {
      manifest = checked(text, digest, server.name);
    } catch (error) {
      const why = (error as Error).message;
      await this.#tellLie(server, digest, why);
      throw error;
    }
    await this.#batcher.add({ server, digest, manifest });
  }

  close(): Promise<void> {
    return this.#batcher.close();
  }

  async #tellLie(server: Server, manifest: string, why: string): Promise<void> {
    const { database, now } = this.#context;
    await database.transaction((db) => appendEvents(db, database.kind, [lie(server, manifest, why)], now()));
  }

  #write(batch: readonly Sent[]): Promise<(undefined | HeadwaterError)[]> {
    const { database, now } = this.#context;
    return inTurn(this.#context, async (db) => {
      const events: NewEvent[] = [];
      const answers: (undefined | HeadwaterError)[] = [];
      const candidates = new Map<Server, Candidate[]>();
      for (const sent of batch) {
        const result = await keep(db, sent);
        answers.push(result instanceof HeadwaterError ? result : undefined);
        if (result instanceof HeadwaterError) {
          if (result.code === 'HW_MANIFEST_INVALID')
            events.push(lie(sent.server, sent.digest, result.message));
          continue;
        }
        const list = candidates.get(sent.server) ?? [];
        candidates.set(sent.server, list);
        list.push(result);
      }
      for (const [server, list] of candidates) {
        const { number, id, name, holdings_listing: listing } = server;
        // Without a manifest there was no file, so none was deleted either.
        events.push(...(await makeFiles(db, { number, id, name, listing }, list, new Set(), now())));
      }
      await appendEvents(db, database.kind, events, now());
      return answers;
    });
  }
}

function lie(server: Server, manifest: string, why: string): NewEvent {
  const data = { server: server.id, name: server.name, why, manifests: [manifest], count: 1 };
  return { kind: 'server.lied', audience: 'people', data };
}

function checked(text: string, digest: string, origin: string): Manifest {
  const manifest = parseManifest(text, origin);
  const { size, chunkSize, chunks } = manifest;
  const details = { field: 'body', digest };
  const refuse = (why: string): never => {
    throw new HeadwaterError('HW_MANIFEST_INVALID', `the manifest from ${origin} ${why}`, { details });
  };
  if (createHash('sha256').update(canonicalManifest(manifest)).digest('hex') !== digest) {
    return refuse(`is not the one that ${digest} names`);
  }
  if (chunkSize !== chunkSizeFor(size)) {
    return refuse(
      `has chunks of ${chunkSize} bytes; a file of ${size} bytes has chunks of ${chunkSizeFor(size)}`,
    );
  }
  if (chunks.length > MOST_CHUNKS) return refuse(`has ${chunks.length} chunks; ${MOST_CHUNKS} are taken`);
  return manifest;
}

async function keep(
  db: Transaction<Tables>,
  { server, digest, manifest }: Sent,
): Promise<Candidate | HeadwaterError> {
  const row = await db
    .selectFrom('contents')
    .innerJoin('holdings', 'holdings.content_id', 'contents.id')
    .select(['contents.id', 'contents.size', 'contents.sha256', 'holdings.name'])
    .where('contents.manifest_sha256', '=', digest)
    .where('holdings.server_number', '=', server.number)
    .where('holdings.stored', '=', 0)
    .executeTakeFirst();
  if (row === undefined) {
    return new HeadwaterError(
      'HW_NOT_FOUND',
      `${server.name} has not announced ${digest}: announce it first`,
    );
  }
  const { size, sha256, chunkSize, chunks } = manifest;
  if (row.size !== size || row.sha256 !== sha256) {
    const others = await db
      .selectFrom('holdings')
      .select('server_number')
      .where('content_id', '=', row.id)
      .where('server_number', '!=', server.number)
      .limit(1)
      .executeTakeFirst();
    // With other holders, who said the wrong size first is not known; the manifest is right by its digest.
    if (others === undefined) return forgetLie(db, server, row.id, digest);
  }
  await db
    .updateTable('contents')
    .set({ size, sha256, chunk_size: chunkSize, chunk_digests: Buffer.from(chunks.join(''), 'hex') })
    .where('id', '=', row.id)
    .execute();
  return { contentId: row.id, name: row.name, size, sha256 };
}

async function forgetLie(
  db: Transaction<Tables>,
  server: Server,
  contentId: number,
  digest: string,
): Promise<HeadwaterError> {
  await db.deleteFrom('holdings').where('content_id', '=', contentId).execute();
  await db.deleteFrom('contents').where('id', '=', contentId).where('chunk_digests', 'is', null).execute();
  await db
    .updateTable('servers')
    .set((eb) => ({ files: eb('files', '-', 1) }))
    .where('number', '=', server.number)
    .execute();
  const said = `${server.name} announced ${digest} with a size or SHA-256 that its manifest does not have: it is forgotten`;
  return new HeadwaterError('HW_MANIFEST_INVALID', said, { details: { digest } });
}
