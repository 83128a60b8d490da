/** Ids remembered unless told otherwise: an event that comes twice does so soon, or after more than this came between. */
const REMEMBERED_EVENTS = 20_000;

/**
 * Does the work of an event once, however often the event comes, within what it remembers. Only work that is done is
 * remembered: what failed is done again, and what comes twice at the same time waits for the one under way.
 */
export class OncePerEvent {
  readonly #most: number;
  readonly #done = new Set<string>();
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(most: number = REMEMBERED_EVENTS) {
    this.#most = most;
  }

  has(id: string): boolean {
    return this.#done.has(id);
  }

  /**
   * @returns whether the work was done now; false: it was before
   * @throws what the work throws
   */
  async run(id: string, work: () => Promise<void>): Promise<boolean> {
    if (this.#done.has(id)) return false;
    const other = this.#underWay.get(id);
    if (other !== undefined) {
      await other;
      return false;
    }
    const running = work();
    this.#underWay.set(id, running);
    try {
      await running;
      this.#remember(id);
      return true;
    } finally {
      this.#underWay.delete(id);
    }
  }

  /** Has it taken for done from now on: its work is not tried again. */
  giveUp(id: string): void {
    this.#remember(id);
  }

  #remember(id: string): void {
    this.#done.add(id);
    if (this.#done.size <= this.#most) return;
    for (const oldest of this.#done) {
      this.#done.delete(oldest);
      return;
    }
  }
}
