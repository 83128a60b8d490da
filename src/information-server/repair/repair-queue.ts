import type { Queries } from '../../database/database.ts';

/** Contents written down by one statement. */
const WRITTEN_AT_ONCE = 1_000;

/**
 * Has the leader look at the copies of these contents soon. What waits for a later look is looked at now.
 *
 * @param now milliseconds since 1970
 */
export async function lookAt(db: Queries, contents: readonly number[], now: number): Promise<void> {
  // Always in the same order: two transactions never wait for each other in a circle.
  const ids = [...new Set(contents)].sort((a, b) => a - b);
  for (let from = 0; from < ids.length; from += WRITTEN_AT_ONCE) {
    const rows = ids
      .slice(from, from + WRITTEN_AT_ONCE)
      .map((id) => ({ content_id: id, least: null, since: now, look_at: now }));
    await db
      .insertInto('repairs')
      .values(rows)
      .onConflict((conflict) => conflict.column('content_id').doUpdateSet({ look_at: now }))
      .execute();
  }
}
