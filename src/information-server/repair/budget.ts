/** Bytes that may still be ordered: of each server and in all. */
export class Budget {
  readonly #perServer: number;
  readonly #under: Map<number, number>;
  #left: number;

  /**
   * @param most bytes under way at any time: of one server, and in all
   * @param under bytes under way now, by server
   */
  constructor(
    most: { readonly perServer: number; readonly inAll: number },
    under: ReadonlyMap<number, number>,
  ) {
    this.#perServer = most.perServer;
    this.#under = new Map(under);
    this.#left = most.inAll - [...under.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** One of which nothing can be taken: what would be ordered is `capped`. */
  static nothing(): Budget {
    return new Budget({ perServer: 0, inAll: 0 }, new Map([[-1, 1]]));
  }

  /** Nothing more can be ordered of anyone. */
  get isSpent(): boolean {
    return this.#left <= 0;
  }

  /** Bytes under way at a server. */
  under(server: number): number {
    return this.#under.get(server) ?? 0;
  }

  /** Takes so much for a server where there is as much left. One chunk is always ordered of who has none under way. */
  take(server: number, bytes: number): boolean {
    const under = this.under(server);
    if (under > 0 && under + bytes > this.#perServer) return false;
    if (this.#left < bytes && this.#under.size > 0) return false;
    this.#under.set(server, under + bytes);
    this.#left -= bytes;
    return true;
  }
}
