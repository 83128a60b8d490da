/** Lowest and highest of some figures. */
export interface Spread {
  readonly low: number;
  readonly high: number;
}

/** The middle value, the mean of the middle two for an even count; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  if (upper === undefined || lower === undefined) return Number.NaN;
  return upper === lower ? upper : (lower + upper) / 2;
}

/** NaN for both ends where there are no values. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) return { low: Number.NaN, high: Number.NaN };
  return { low: Math.min(...values), high: Math.max(...values) };
}
