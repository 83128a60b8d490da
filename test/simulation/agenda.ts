interface Entry {
  readonly at: number;
  readonly order: number;
  readonly happen: () => void;
}

/** What will happen and when: a binary heap by time; what is due at the same time happens in the order it was noted. */
export class Agenda {
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Time of what comes next; Infinity when nothing does. */
  get next(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  add(at: number, happen: () => void): void {
    if (at === Infinity) return;
    const heap = this.#heap;
    const entry = { at, order: this.#order++, happen };
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !before(entry, parent)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = entry;
  }

  /** Runs the next entry when it is due at `now`; false when none is. */
  runDue(now: number): boolean {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return false;
    this.#removeFirst();
    first.happen();
    return true;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      let least = heap[child];
      if (least === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && before(right, least)) {
        least = right;
        child++;
      }
      if (!before(least, last)) break;
      heap[index] = least;
      index = child;
    }
    heap[index] = last;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
