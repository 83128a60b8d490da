/** Which sources hold the same file, told by what they say of it. Pure. */

/** What one source says. */
export interface Claim {
  readonly id: number;
  readonly size: number;
  readonly sha256: string | undefined;
}

/** Sources whose words are of one file. */
export interface Group {
  readonly size: number;
  /** The digest that its members state; undefined when none does. */
  readonly sha256: string | undefined;
  readonly ids: readonly number[];
}

/**
 * Sorts claims into groups, the largest first, among equals the one that was heard of first. A source that states no
 * digest goes with the largest group of its size.
 */
export function groupClaims(claims: readonly Claim[]): Group[] {
  const groups = new Map<string, { size: number; sha256: string | undefined; ids: number[] }>();
  const stating = claims.filter((claim) => claim.sha256 !== undefined);
  for (const { id, size, sha256 } of stating) {
    const key = `${size} ${sha256 ?? ''}`;
    const group = groups.get(key) ?? { size, sha256, ids: [] };
    group.ids.push(id);
    groups.set(key, group);
  }
  for (const { id, size } of claims.filter((claim) => claim.sha256 === undefined)) {
    const same = [...groups.values()].filter((group) => group.size === size);
    const largest = same.reduce<(typeof same)[number] | undefined>(
      (best, each) => (best === undefined || each.ids.length > best.ids.length ? each : best),
      undefined,
    );
    if (largest === undefined) groups.set(`${size} `, { size, sha256: undefined, ids: [id] });
    else largest.ids.push(id);
  }
  const order = new Map(claims.map((claim, index) => [claim.id, index]));
  const first = (group: Group): number => Math.min(...group.ids.map((id) => order.get(id) ?? Infinity));
  return [...groups.values()].sort((a, b) => b.ids.length - a.ids.length || first(a) - first(b));
}

/** The group that more than half of all claims are in. */
export function majority(groups: readonly Group[]): Group | undefined {
  const all = groups.reduce((sum, group) => sum + group.ids.length, 0);
  return groups.find((group) => group.ids.length * 2 > all);
}
