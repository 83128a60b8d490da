import type { FleetEvent } from '../core/api/events.ts';
import type { Database } from '../database/database.ts';
import { isFor } from './audience.ts';
import { eventsAfter, newestPosition, readOutbox, type Reader } from './outbox.ts';

/** Milliseconds between two looks for what other processes have committed. Our own commits wake at once. */
const LOOK_EVERY = 200;
/** Milliseconds of rest when the database does not answer. */
const AWAY_REST = 500;
/** Events read at once. */
const READ_AT_ONCE = 1_000;
/** Events that wait for one slow follower; with more it goes on from the database, at its own pace. */
const MOST_QUEUED = 1_000;
/** Events handed to a follower at once. */
const HANDED_AT_ONCE = 200;

/** What a follower is handed: events for it, and the position up to which there are no others. */
export interface Handful {
  readonly events: readonly FleetEvent[];
  readonly upTo: number;
}

/**
 * Reads the outbox once for all who follow it on this information server: each event goes to those it is for. Memory is
 * bounded: a follower that is slow, or behind, reads from the database until it has caught up.
 */
export class EventTail {
  readonly #database: Database;
  readonly #signal: AbortSignal;
  readonly #people = new Set<Follower>();
  readonly #servers = new Map<string, Set<Follower>>();
  #head: number | undefined;
  #isLooking = false;
  #wake: (() => void) | undefined;
  #isWoken = false;

  /** @param signal ends it, and all who follow */
  constructor(database: Database, signal: AbortSignal) {
    this.#database = database;
    this.#signal = signal;
    const forget = database.onEvents(() => this.#look());
    signal.addEventListener(
      'abort',
      () => {
        forget();
        this.#look();
      },
      { once: true },
    );
  }

  /** How many follow. */
  get followers(): number {
    let count = this.#people.size;
    for (const same of this.#servers.values()) count += same.size;
    return count;
  }

  /**
   * What a reader wants of the events after a position, for as long as it follows. Ends when the signal or the tail does.
   * An empty handful comes when nothing else did for `idle` milliseconds.
   */
  async *follow(
    reader: Reader,
    { after, idle, signal }: { after: number; idle: number; signal: AbortSignal },
  ): AsyncGenerator<Handful> {
    const over = AbortSignal.any([signal, this.#signal]);
    const follower = new Follower(reader, after);
    const wake = (): void => follower.wake();
    over.addEventListener('abort', wake);
    this.#add(follower);
    try {
      while (!over.aborted) {
        if (!follower.isLive) yield* this.#catchUp(follower, over);
        if (over.aborted) return;
        const events = follower.take(HANDED_AT_ONCE);
        if (events.length > 0) yield { events, upTo: follower.position };
        else if (!(await follower.news(idle))) yield { events: [], upTo: follower.position };
      }
    } finally {
      over.removeEventListener('abort', wake);
      this.#remove(follower);
    }
  }

  async *#catchUp(follower: Follower, over: AbortSignal): AsyncGenerator<Handful> {
    while (!over.aborted) {
      try {
        if (this.#head === undefined) {
          const newest = await newestPosition(this.#database);
          // Another follower may have been here meanwhile: what was handed out to it counts.
          this.#head ??= newest;
        }
        if (!this.#isLooking) void this.#run();
        const head = this.#head;
        // A database that was put back to an earlier state, or one that another information server has read further.
        if (follower.position > head) yield { events: [], upTo: (follower.position = head) };
        // Nothing was handed out since it was looked at: the very next event is the follower's.
        if (this.#head !== undefined && follower.position >= this.#head) {
          follower.goLive();
          return;
        }
        const { position: after, reader } = follower;
        const read = await readOutbox(this.#database, reader, { after, end: head, most: HANDED_AT_ONCE });
        follower.position = read.upTo;
        if (read.events.length > 0) yield read;
      } catch {
        await rest(AWAY_REST, over);
      }
    }
  }

  #add(follower: Follower): void {
    const { reader } = follower;
    if ('kinds' in reader) this.#people.add(follower);
    else this.#servers.set(reader.id, (this.#servers.get(reader.id) ?? new Set()).add(follower));
  }

  #remove(follower: Follower): void {
    this.#people.delete(follower);
    if ('kinds' in follower.reader) return;
    const same = this.#servers.get(follower.reader.id);
    same?.delete(follower);
    if (same?.size === 0) this.#servers.delete(follower.reader.id);
  }

  #look(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  async #run(): Promise<void> {
    this.#isLooking = true;
    while (this.#isFollowed && !this.#signal.aborted) {
      const isMore = await this.#step();
      if (!isMore) await this.#pause();
    }
    this.#isLooking = false;
    // With nobody following it does not look; who comes next begins at what is newest then.
    this.#head = undefined;
  }

  get #isFollowed(): boolean {
    return this.#people.size > 0 || this.#servers.size > 0;
  }

  /** Hands out what is new; whether there is more. */
  async #step(): Promise<boolean> {
    this.#isWoken = false;
    try {
      const events = await eventsAfter(this.#database, this.#head ?? 0, READ_AT_ONCE);
      const last = events.at(-1);
      if (last === undefined) return false;
      this.#head = last.position;
      for (const event of events) this.#hand(event);
      for (const follower of this.#people) follower.reach(last.position);
      for (const same of this.#servers.values()) for (const each of same) each.reach(last.position);
      return events.length === READ_AT_ONCE;
    } catch {
      await rest(AWAY_REST, this.#signal);
      return false;
    }
  }

  /** Looks at no more followers than need be: with 2,000 servers most events are for a few. */
  #hand(event: FleetEvent): void {
    const { audience } = event;
    for (const follower of this.#people) if (wantsKind(follower.reader, event.kind)) follower.offer(event);
    if (audience === 'people') return;
    if (typeof audience === 'object' && 'servers' in audience) {
      for (const id of audience.servers) for (const each of this.#servers.get(id) ?? []) each.offer(event);
      return;
    }
    for (const same of this.#servers.values()) {
      for (const each of same) if ('id' in each.reader && isFor(audience, each.reader)) each.offer(event);
    }
  }

  async #pause(): Promise<void> {
    if (this.#isWoken) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LOOK_EVERY);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    clearTimeout(timer);
  }
}

function wantsKind(reader: Reader, kind: string): boolean {
  return 'kinds' in reader && reader.kinds.includes(kind);
}

class Follower {
  readonly reader: Reader;
  /** Everything up to it was handed over, or lies in the queue. */
  position: number;
  #queue: FleetEvent[] = [];
  #reached: number;
  #isLive = false;
  #wake: ((isNews: boolean) => void) | undefined;

  constructor(reader: Reader, position: number) {
    this.reader = reader;
    this.position = this.#reached = position;
  }

  get isLive(): boolean {
    return this.#isLive;
  }

  goLive(): void {
    this.#queue = [];
    this.#reached = this.position;
    this.#isLive = true;
  }

  offer(event: FleetEvent): void {
    if (!this.#isLive || event.position <= this.position) return;
    if (this.#queue.length < MOST_QUEUED) this.#queue.push(event);
    else {
      // Too slow: what lies here is read again, later.
      this.#isLive = false;
      this.#queue = [];
    }
    this.wake();
  }

  /** Nothing else is for it up to this position. */
  reach(position: number): void {
    if (this.#isLive && position > this.#reached) this.#reached = position;
  }

  take(most: number): FleetEvent[] {
    const taken = this.#queue.splice(0, most);
    if (this.#isLive)
      this.position = this.#queue.length === 0 ? this.#reached : (taken.at(-1)?.position ?? this.position);
    return taken;
  }

  /** Waits for something to do; false when nothing came for so many milliseconds. */
  async news(idle: number): Promise<boolean> {
    if (this.#queue.length > 0 || !this.#isLive) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(resolve, idle, false);
    this.#wake = resolve;
    const isNews = await promise;
    this.#wake = undefined;
    clearTimeout(timer);
    if (this.#queue.length === 0 && this.#isLive) this.position = this.#reached;
    return isNews;
  }

  wake(): void {
    this.#wake?.(true);
  }
}

async function rest(time: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, time);
  const end = (): void => resolve();
  signal.addEventListener('abort', end, { once: true });
  await promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', end);
}
