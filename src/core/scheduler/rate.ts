/** Milliseconds after which an observation weighs 1/e: short enough to see a server die, long enough to smooth bursts. */
const MEMORY = 1_000;

/** Bytes a second of something that is not always busy: only busy time counts, and old time is forgotten. */
export class RateMeter {
  #bytes = 0;
  #time = 0;
  #last: number;
  /** Milliseconds that were busy, ever. */
  busyTime = 0;

  constructor(now: number) {
    this.#last = now;
  }

  /** Moves to `now`; the time since the last call was busy or not. */
  advance(now: number, busy: boolean): void {
    const step = now - this.#last;
    if (step <= 0) return;
    this.#last = now;
    if (!busy) return;
    this.busyTime += step;
    const keep = Math.exp(-step / MEMORY);
    this.#bytes *= keep;
    this.#time = this.#time * keep + step;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Bytes a second, or undefined while too little time was observed to tell. */
  get rate(): number | undefined {
    return this.#time < 1 || this.#bytes === 0 ? undefined : (this.#bytes * 1000) / this.#time;
  }
}
