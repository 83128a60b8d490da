import type { FleetClient } from './fleet-client.ts';

/** Entries asked for at once: the most that one page has. */
const PAGE = 1_000;

interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string | null;
}

/** The entries of a list, page by page. */
export async function* pagesOf<T>(
  client: FleetClient,
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
  { limit = Infinity, signal }: { limit?: number | undefined; signal?: AbortSignal | undefined } = {},
): AsyncGenerator<T> {
  let left = limit;
  let cursor: string | undefined;
  while (left > 0) {
    const paged = { ...query, limit: Math.min(PAGE, left), cursor };
    const { items, next } = await client.ask<Page<T>>('GET', path, { query: paged, signal });
    yield* items.slice(0, left);
    left -= items.length;
    if (typeof next !== 'string' || items.length === 0) return;
    cursor = next;
  }
}
