/** Numbers that depend on a seed alone (mulberry32). */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number below `below`. */
  below(below: number): number;
  pick<T>(of: readonly T[]): T | undefined;
}

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  return { next, below, pick: (of) => of[below(of.length)] };
}
