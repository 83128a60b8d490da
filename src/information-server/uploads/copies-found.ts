import { setImmediate as turn } from 'node:timers/promises';

import type { Manifest } from '../../core/manifest.ts';
import { Placement } from '../../core/placement.ts';
import type { Context } from '../context.ts';
import { askStores, type Question } from './ask-stores.ts';
import { isOpen, isThere, type StoreRow } from './store-servers.ts';
import { Tally, type Wanted } from './tally.ts';

/** Chunks whose places are worked out before others have their turn. */
const PLACES_SLICE = 500;

/**
 * Asks the file servers which of a manifest's chunks they have: first those where each chunk belongs, then, for what lacks
 * copies there, all the others.
 */
export async function findCopies(
  context: Context,
  manifest: Manifest,
  stores: readonly StoreRow[],
  { replicas, zones }: Wanted,
): Promise<Tally> {
  const open = stores.filter(isOpen);
  const tally = new Tally(manifest.chunks, stores);
  tally.need = need(open, { replicas, zones });
  const placement = new Placement(
    open.map((row) => ({ row, id: row.id, zone: row.zone, weight: row.store_capacity ?? 0 })),
    zones,
  );
  const asked = new Map<StoreRow, number[]>(stores.map((row) => [row, []]));
  for (const [index, digest] of tally.digests.entries()) {
    for (const { row } of placement.of(digest).slice(0, replicas)) asked.get(row)?.push(index);
    if (index % PLACES_SLICE === PLACES_SLICE - 1) await turn();
  }
  await ask(context, tally, asked);
  const short = tally.short();
  if (short.length === 0) return tally;
  const rest = new Map(
    stores.filter(isThere).map((row) => {
      const before = new Set(asked.get(row));
      return [row, short.filter((index) => !before.has(index))] as const;
    }),
  );
  await ask(context, tally, rest);
  return tally;
}

/** What can be had: never more copies, or zones, than there are servers that take some. */
function need(open: readonly StoreRow[], { replicas, zones }: Wanted): Wanted {
  const copies = Math.max(1, Math.min(replicas, open.length));
  const there = new Set(open.map(({ zone }) => zone)).size;
  return { replicas: copies, zones: Math.max(1, Math.min(zones, copies, there)) };
}

async function ask(
  context: Context,
  tally: Tally,
  lists: ReadonlyMap<StoreRow, readonly number[]>,
): Promise<void> {
  const entries = [...lists].filter(([, indexes]) => indexes.length > 0);
  const questions: Question[] = entries.map(([server, indexes]) => ({
    server,
    digests: indexes.map((index) => tally.digests[index] ?? ''),
  }));
  const answers = await askStores(context, questions);
  for (const [at, [server, indexes]] of entries.entries()) {
    const bits = answers[at];
    if (bits === undefined) tally.silent.add(server);
    else for (const [place, index] of indexes.entries()) if (isSet(bits, place)) tally.found(index, server);
  }
}

function isSet(bits: Uint8Array, bit: number): boolean {
  return (((bits[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1;
}
