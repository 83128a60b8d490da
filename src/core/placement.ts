/**
 * Which servers a chunk belongs on: rendezvous hashing, weighted (Schindelhauer and Schomaker, "Weighted distributed
 * hash tables", SPAA 2005, logarithmic method). Everyone who knows the same servers finds the same answer by himself; a
 * server that comes or goes moves its own share and no other chunk.
 */

/** A server that could take a copy. */
export interface PlacementServer {
  readonly id: string;
  readonly zone: string;
  /** Its share is in proportion; 0 gets nothing. */
  readonly weight: number;
}

/**
 * All servers in the order in which a chunk should be on them: the first `replicas` are its places, what follows are
 * those to turn to where one of these cannot. The copies spread over `zones` zones, as far as there are so many.
 *
 * @param digest SHA-256 of the chunk, lower-case hex
 */
export function placement<T extends PlacementServer>(
  digest: string,
  servers: readonly T[],
  zones: number,
): T[] {
  const scored = servers
    .filter(({ weight }) => weight > 0)
    .map((server) => ({ server, score: scoreOf(digest, server) }))
    .sort((a, b) => b.score - a.score || (a.server.id < b.server.id ? -1 : 1));
  const first: T[] = [];
  const others: T[] = [];
  const seen = new Set<string>();
  for (const { server } of scored) {
    const isNew = !seen.has(server.zone);
    if (isNew && seen.size < zones) {
      seen.add(server.zone);
      first.push(server);
    } else others.push(server);
  }
  return [...first, ...others];
}

/** -weight / ln(h), h uniform in (0, 1): the larger the better. */
function scoreOf(digest: string, { id, weight }: PlacementServer): number {
  return -weight / Math.log(uniform(digest, id));
}

/** A number in (0, 1) that depends on every character of both: FNV-1a, mixed as MurmurHash3 ends. */
function uniform(digest: string, id: string): number {
  const high = mixed(hashed(id, hashed(digest, 0x811c9dc5)));
  const low = mixed(hashed(digest, hashed(id, 0x9747b28c)));
  return ((high >>> 0) * 2 ** 21 + (low >>> 11) + 0.5) / 2 ** 53;
}

function hashed(text: string, seed: number): number {
  let hash = seed;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash;
}

function mixed(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
