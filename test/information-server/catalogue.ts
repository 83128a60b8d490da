import { createHash, randomBytes } from 'node:crypto';

import { ChunkLayout, MIB } from '../../src/core/chunks.ts';
import { foldName } from '../../src/core/fold-name.ts';
import { canonicalManifest, type Manifest } from '../../src/core/manifest.ts';
import type { Queries } from '../../src/database/database.ts';
import { newId } from '../../src/database/ids.ts';
import type { ServerRow } from '../../src/database/tables.ts';

/** A file put straight into the database. */
export interface TestFile {
  readonly id: string;
  readonly name: string;
  readonly contentId: number;
  readonly manifest: Manifest;
  readonly manifestSha256: string;
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** A file with random digests. `size` in bytes, of chunks of 1 MiB. */
export async function addFile(
  db: Queries,
  name: string,
  {
    size = 3 * MIB + 5,
    owner,
    readers,
    createdAt = Date.now(),
  }: {
    readonly size?: number;
    readonly owner?: string;
    /** Ids of users; undefined: everyone sees it. */
    readonly readers?: readonly string[];
    readonly createdAt?: number;
  } = {},
): Promise<TestFile> {
  const digests = randomBytes(32 * new ChunkLayout(size, MIB).count);
  const chunks = Array.from({ length: digests.length / 32 }, (_, at) =>
    digests.toString('hex', at * 32, at * 32 + 32),
  );
  const manifest: Manifest = { version: 1, size, chunkSize: MIB, sha256: sha256(digests), chunks };
  const manifestSha256 = sha256(canonicalManifest(manifest));
  const { id: contentId } = await db
    .insertInto('contents')
    .values({
      manifest_sha256: manifestSha256,
      sha256: manifest.sha256,
      size,
      chunk_size: MIB,
      chunk_digests: digests,
      created_at: createdAt,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  const id = newId(createdAt);
  await db
    .insertInto('files')
    .values({
      id,
      name,
      name_folded: foldName(name),
      content_id: contentId,
      size,
      owner_id: owner ?? null,
      visibility: readers === undefined ? 'everyone' : 'users',
      created_at: createdAt,
      deleted_at: null,
    })
    .execute();
  for (const user of readers ?? [])
    await db.insertInto('file_readers').values({ file_id: id, user_id: user }).execute();
  return { id, name, contentId, manifest, manifestSha256 };
}

/** A server that runs, put straight into the database. */
export async function addServer(
  db: Queries,
  name: string,
  change: Partial<ServerRow> = {},
): Promise<{ readonly id: string; readonly number: number }> {
  const now = Date.now();
  return db
    .insertInto('servers')
    .values({
      id: newId(now),
      name,
      zone: 'a',
      url: `http://${name}.test`,
      token_digest: sha256(randomBytes(16)),
      instance: now,
      state: 'running',
      wanted: 'running',
      command_revision: 0,
      version: '1',
      capacity: null,
      free: null,
      answers: 0,
      clients: 0,
      rate: 0,
      bytes_sent: 0,
      clock_ahead: 0,
      holdings_version: 1,
      holdings_listing: 1,
      holdings_open: 0,
      files: 0,
      last_seen_at: now + 3_600_000,
      registered_at: now,
      ...change,
    })
    .returning(['id', 'number'])
    .executeTakeFirstOrThrow();
}

/** Says that a server holds a file: all of it, or what a bitmap says. */
export async function addHolding(
  db: Queries,
  file: Pick<TestFile, 'contentId' | 'name'>,
  server: { readonly number: number },
  chunks: Uint8Array | null = null,
): Promise<void> {
  await db
    .insertInto('holdings')
    .values({ content_id: file.contentId, server_number: server.number, chunks, name: file.name, listing: 1 })
    .execute();
}
