/** Lets what is done to one chunk's file follow each other; different chunks do not wait for each other. */
export class DigestTurns {
  readonly #last = new Map<string, Promise<unknown>>();

  async run<T>(digest: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(digest);
    const mine = before === undefined ? work() : before.then(work, work);
    this.#last.set(digest, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(digest) === mine) this.#last.delete(digest);
    }
  }
}
