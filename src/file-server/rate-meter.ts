/** Seconds that a rate speaks for. */
const WINDOW = 3;
const SLICE = 250;
const SLICES = (WINDOW * 1000) / SLICE;

/** Bytes a second over the last three seconds. Times are milliseconds of a clock that never goes back. */
export class RateMeter {
  readonly #slices: number[] = Array.from({ length: SLICES }, () => 0);
  readonly #start: number;
  #slice: number;

  constructor(now: number) {
    this.#start = now;
    this.#slice = Math.floor(now / SLICE);
  }

  add(bytes: number, now: number): void {
    this.#advance(now);
    const index = this.#slice % SLICES;
    this.#slices[index] = (this.#slices[index] ?? 0) + bytes;
  }

  /** Less than the whole window counts while it is young, but at least one slice. */
  rate(now: number): number {
    this.#advance(now);
    const covered = Math.min(now - this.#start, (SLICES - 1) * SLICE + (now % SLICE));
    const bytes = this.#slices.reduce((sum, each) => sum + each, 0);
    return (bytes * 1000) / Math.max(SLICE, covered);
  }

  #advance(now: number): void {
    const slice = Math.floor(now / SLICE);
    if (slice - this.#slice >= SLICES) this.#slices.fill(0);
    else for (let each = this.#slice + 1; each <= slice; each++) this.#slices[each % SLICES] = 0;
    this.#slice = slice;
  }
}
