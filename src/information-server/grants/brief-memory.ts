/**
 * Remembers what was read for a moment, so that a thousand requests for one thing are one question. What is not there is
 * never remembered.
 */
export class BriefMemory<Key, Value> {
  readonly #read: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>;
  readonly #time: number;
  readonly #most: number;
  readonly #known = new Map<Key, { readonly value: Value; readonly at: number }>();
  /** Counts how often everything was forgotten: what was asked before then is not remembered after. */
  #turn = 0;

  /**
   * @param time milliseconds for which an answer is good
   * @param most answers remembered
   */
  constructor(
    read: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>,
    { time, most }: { readonly time: number; readonly most: number },
  ) {
    this.#read = read;
    this.#time = time;
    this.#most = most;
  }

  /** Those that are there, asked for with one question. */
  async get(keys: Iterable<Key>): Promise<ReadonlyMap<Key, Value>> {
    const now = performance.now();
    const found = new Map<Key, Value>();
    const missing: Key[] = [];
    for (const key of new Set(keys)) {
      const known = this.#known.get(key);
      if (known !== undefined && now - known.at < this.#time) found.set(key, known.value);
      else missing.push(key);
    }
    if (missing.length === 0) return found;
    const turn = this.#turn;
    const read = await this.#read(missing);
    if (this.#known.size + read.size > this.#most) this.#known.clear();
    for (const [key, value] of read) {
      found.set(key, value);
      if (turn === this.#turn) this.#known.set(key, { value, at: now });
    }
    return found;
  }

  /** Something has changed here: everything is read anew. */
  forget(): void {
    this.#known.clear();
    this.#turn++;
  }
}
