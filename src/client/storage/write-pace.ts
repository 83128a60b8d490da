/**
 * Milliseconds that a write made at once may take. Memory takes a megabyte in a third of one; on a busy machine, where
 * other programs have their turn meanwhile, it may be fifteen.
 */
const LONGEST_WRITE = 20;
/**
 * Milliseconds that the thread pool may need for a write, and the system for making the data of about a second last: who
 * needs longer may keep a writer waiting as well. What the pool needs says little below that, since it is known only when
 * this thread has time to hear of it.
 */
const LONGEST_WAIT = 250;
/** Writes by the thread pool before the first that is made at once. */
const POOL_WRITES_FIRST = 4;
/** No write is made at once for this many times as long as a slow one took: so waiting takes 4 % of the time at most. */
const REST = 25;

/**
 * Decides whether a write is made at once, by the thread that receives, or by the thread pool. A write that only goes
 * into the page cache is over sooner than another thread could be woken for it, and takes a third less CPU; but one
 * that has to wait for a device keeps everything waiting: sockets, timers, Ctrl-C. So the file system must be one that
 * has its pages in this machine's memory, and everything it was asked lately must have been quick, the last sync among
 * it: a disk that fails shows in the sync, which is asked for about once a second and never waited for here. What is
 * left is a disk that stops between two syncs, and a system that makes writers wait for it within that second: one write
 * then waits as long as the system has it wait, and Ctrl-C with it.
 */
export class WritePace {
  readonly #local: boolean;
  readonly #now: () => number;
  #poolWrites = 0;
  #syncing = 0;
  #slowSync = false;
  #restUntil = -Infinity;

  /**
   * @param local the file system keeps what is written in this machine's memory first, and asks no other machine and no
   * other process for it
   * @param now milliseconds on a clock that never runs backwards
   */
  constructor(local: boolean, now: () => number = () => performance.now()) {
    this.#local = local;
    this.#now = now;
  }

  /** A write would most likely be over at once. */
  get atOnce(): boolean {
    return (
      this.#local &&
      this.#syncing === 0 &&
      !this.#slowSync &&
      this.#poolWrites >= POOL_WRITES_FIRST &&
      this.#now() >= this.#restUntil
    );
  }

  /** Makes a write, here and now, and takes its time. */
  time<T>(write: () => T): T {
    const began = this.#now();
    const written = write();
    this.#took(this.#now() - began, LONGEST_WRITE);
    return written;
  }

  /** Takes the time of a write that the thread pool makes. */
  async watch(write: Promise<void>): Promise<void> {
    const began = this.#now();
    await write;
    this.#poolWrites++;
    this.#took(this.#now() - began, LONGEST_WAIT);
  }

  /** Takes the time of a sync. None of the writes meanwhile is made at once: it might have to wait for the device too. */
  async watchSync(sync: Promise<void>): Promise<void> {
    const began = this.#now();
    this.#syncing++;
    try {
      await sync;
    } finally {
      this.#syncing--;
      this.#slowSync = this.#now() - began > LONGEST_WAIT;
    }
  }

  #took(milliseconds: number, longest: number): void {
    if (milliseconds > longest) this.#restUntil = this.#now() + milliseconds * REST;
  }
}
