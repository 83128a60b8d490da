import { placement } from '../../core/placement.ts';
import type { Store, Stores } from './stores.ts';
import type { UploadChunk } from './upload-chunk.ts';

/** What is still to be done for one chunk. */
export interface Places {
  /** Every copy that can be made is there. */
  readonly complete: boolean;
  /** Those that are to get one now, the best first; may be fewer than are lacking. */
  readonly targets: readonly Store[];
}

/** Servers that may have a chunk already: its places and a few after them. */
export function placesOf(chunk: UploadChunk, stores: Stores, spare: number): Store[] {
  const { replicas, zones } = stores.wanted;
  return zonesFirst(inOrder(chunk, stores), zones).slice(0, replicas + spare);
}

/**
 * Where the copies of a chunk go that are not there yet: the next ones in its order of preference that can take one.
 * There are never more copies than servers that take some.
 */
export function placesWanted(chunk: UploadChunk, stores: Stores, now: number): Places {
  const { holders } = chunk;
  const { replicas, zones } = stores.wanted;
  const able = inOrder(chunk, stores).filter(({ told }) => told.open || holders.has(told.id));
  const zonesThere = new Set<string>();
  const covered = new Set<string>();
  for (const { told } of able) {
    zonesThere.add(told.zone);
    if (holders.has(told.id)) covered.add(told.zone);
  }
  let lackingZones = Math.min(zones, replicas, zonesThere.size) - covered.size;
  const lacking = Math.min(replicas, able.length) - holders.size;
  if (lacking <= 0 && lackingZones <= 0) return { complete: able.length > 0, targets: [] };
  const targets: Store[] = [];
  const rest: Store[] = [];
  for (const store of able) {
    if (holders.has(store.told.id) || !store.isUsable(now) || !store.told.open) continue;
    if (lackingZones > 0 && !covered.has(store.told.zone)) {
      covered.add(store.told.zone);
      targets.push(store);
      lackingZones--;
    } else rest.push(store);
  }
  // What a zone whose servers are all away still lacks is kept for it: the fleet says when they are gone for good.
  const kept = Math.max(0, lackingZones);
  targets.push(...rest.slice(0, Math.max(0, lacking - targets.length - kept)));
  return { complete: false, targets };
}

/** Each zone's best one first, for so many zones; what `placement` does with zones. */
function zonesFirst(stores: readonly Store[], zones: number): Store[] {
  const seen = new Set<string>();
  const first: Store[] = [];
  const others: Store[] = [];
  for (const store of stores) {
    const isNew = seen.size < zones && !seen.has(store.told.zone);
    if (isNew) seen.add(store.told.zone);
    (isNew ? first : others).push(store);
  }
  return [...first, ...others];
}

/** All servers as the chunk prefers them, zones left aside. */
function inOrder(chunk: UploadChunk, stores: Stores): readonly Store[] {
  if (chunk.order?.version !== stores.version) {
    const told = stores.all.map((store) => ({ ...store.told, store }));
    const ordered = placement(chunk.digest, told, 0).map(({ store }) => store);
    chunk.order = { version: stores.version, stores: ordered };
  }
  return chunk.order.stores;
}
