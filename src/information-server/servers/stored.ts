import type { Queries } from '../../database/database.ts';
import { lookAt } from '../repair/repair-queue.ts';

/** Contents asked about in one statement: SQLite takes 32,766 values. */
const ASKED_AT_ONCE = 5_000;

/**
 * Of the contents with these manifests those that chunk stores are to keep: a published file has them, or had them and
 * somebody may still be downloading it.
 */
export async function keptManifests(db: Queries, manifests: readonly string[]): Promise<Set<string>> {
  if (manifests.length === 0) return new Set();
  const rows = await db
    .selectFrom('files')
    .innerJoin('contents', 'contents.id', 'files.content_id')
    .select('contents.manifest_sha256')
    .distinct()
    .where('contents.manifest_sha256', 'in', manifests)
    .where('files.replicas', 'is not', null)
    .where('files.released_at', 'is', null)
    .execute();
  return new Set(rows.map((row) => row.manifest_sha256));
}

/** Has the leader look at the copies of those contents that are published. */
export async function lookAtPublished(db: Queries, contents: readonly number[], now: number): Promise<void> {
  for (let from = 0; from < contents.length; from += ASKED_AT_ONCE) {
    const rows = await db
      .selectFrom('files')
      .select('content_id')
      .distinct()
      .where('content_id', 'in', contents.slice(from, from + ASKED_AT_ONCE))
      .where('replicas', 'is not', null)
      .where('deleted_at', 'is', null)
      .execute();
    await lookAt(
      db,
      rows.map((row) => row.content_id),
      now,
    );
  }
}

/** Whether two bitmaps of a holding say the same; null: all. */
export function isSameHolding(one: Uint8Array | null, other: Uint8Array | null): boolean {
  if (one === null || other === null) return one === other;
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
