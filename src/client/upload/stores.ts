import type { UploadServer, UploadServers } from '../../core/api/uploads.ts';
import { type ErrorCode, ERRORS, HeadwaterError } from '../../core/errors.ts';
import { RateMeter } from '../../core/scheduler/rate.ts';
import {
  CLOSED_AWAY,
  FIRST_AWAY,
  LEAST_PATIENCE,
  MOST_AWAY,
  MOST_SENDING_TO_ONE,
  SLOW_TIMES,
} from './limits.ts';
import type { StoreEvent, StoreProgress } from './types.ts';

/** What a server says when it is not it that failed: it has no room, or takes nothing. */
const CLOSED: ReadonlySet<string> = new Set(['HW_NO_ROOM', 'HW_DISK_FULL', 'HW_METHOD', 'HW_NOT_FOUND']);

/** What one more chunk counts in the pace of a server. */
const NEWS = 0.2;

/** A server that chunks are sent to, as it is known here. */
export class Store {
  /** Number in the order in which they became known, from 1. */
  readonly number: number;
  /** As the fleet says. */
  told: UploadServer;
  /** Chunks on their way to it. */
  sending = 0;
  /** Chunks on their way to it, from here or from another server. */
  involved = 0;
  /** When it took a chunk the last time. */
  workedAt = -Infinity;
  /** Bytes that it took in this run. */
  bytes = 0;
  readonly meter: RateMeter;
  /** Milliseconds for each byte of a chunk, as it takes them lately; undefined before it has taken one. */
  pace: number | undefined;
  /** Why it is left alone, or was last. */
  failure: HeadwaterError | undefined;
  #failures = 0;
  #awayUntil = -Infinity;

  constructor(number: number, told: UploadServer, now: number) {
    this.number = number;
    this.told = told;
    this.meter = new RateMeter(now);
  }

  isAway(now: number): boolean {
    return now < this.#awayUntil;
  }

  get awayUntil(): number {
    return this.#awayUntil;
  }

  get hasFailed(): boolean {
    return this.#failures > 0;
  }

  /** It may get chunks: after a failure one at a time, until it has taken one. */
  isUsable(now: number): boolean {
    return !this.isAway(now) && !(this.hasFailed && this.involved > 0);
  }

  /** One more chunk may be sent to it from here. */
  hasTurn(now: number): boolean {
    return this.isUsable(now) && this.sending < MOST_SENDING_TO_ONE;
  }

  /** @returns false when it was known to be well */
  recovered(): boolean {
    const had = this.hasFailed;
    this.#failures = 0;
    this.failure = undefined;
    this.#awayUntil = -Infinity;
    return had;
  }

  /** It took a chunk of so many bytes in so many milliseconds. */
  took(bytes: number, milliseconds: number): void {
    const pace = milliseconds / bytes;
    this.pace = this.pace === undefined ? pace : this.pace * (1 - NEWS) + pace * NEWS;
  }

  /** Leaves it alone for a while. @returns false when it is left alone already */
  failed(error: HeadwaterError, now: number): boolean {
    if (this.isAway(now)) return false;
    const asked = error.details['retryAfter'];
    const own = CLOSED.has(error.code) ? CLOSED_AWAY : Math.min(MOST_AWAY, FIRST_AWAY * 2 ** this.#failures);
    const told = typeof asked === 'number' ? Math.min(MOST_AWAY, asked * 1000) : 0;
    this.#failures++;
    this.failure = error;
    this.#awayUntil = now + Math.max(own, told);
    return true;
  }
}

/** The fleet's servers that take chunks: what the fleet says of them, and what was met with here. */
export class Stores {
  /** Copies of each chunk that are wanted, and zones. */
  #wanted: { readonly replicas: number; readonly zones: number };
  /** Another one whenever the order in which chunks prefer servers may be another one. */
  version = 0;
  readonly #stores = new Map<string, Store>();
  readonly #now: () => number;
  readonly #onEvent: (event: StoreEvent) => void;

  constructor(first: UploadServers, now: () => number, onEvent: (event: StoreEvent) => void) {
    this.#now = now;
    this.#onEvent = onEvent;
    this.#wanted = first;
    this.take(first);
  }

  /** The list as it is now. */
  take({ replicas, zones, servers }: UploadServers): void {
    this.#wanted = { replicas, zones };
    this.version++;
    const left = new Set(this.#stores.keys());
    for (const told of servers) {
      left.delete(told.id);
      const known = this.#stores.get(told.id);
      if (known === undefined) {
        this.#stores.set(told.id, new Store(this.#stores.size + 1, told, this.#now()));
        continue;
      }
      // Started anew somewhere else.
      if (known.told.url !== told.url) known.recovered();
      known.told = told;
    }
    for (const id of left) {
      const gone = this.#stores.get(id);
      if (gone !== undefined) gone.told = { ...gone.told, open: false };
    }
  }

  get wanted(): { readonly replicas: number; readonly zones: number } {
    return this.#wanted;
  }

  get all(): Store[] {
    return [...this.#stores.values()];
  }

  /** Those that the fleet says take chunks, whether they answer here or not. */
  get open(): Store[] {
    return this.all.filter(({ told }) => told.open);
  }

  get(id: string): Store | undefined {
    return this.#stores.get(id);
  }

  /** At least one may be sent another chunk. */
  get haveTurn(): boolean {
    const now = this.#now();
    for (const store of this.#stores.values()) if (store.told.open && store.hasTurn(now)) return true;
    return false;
  }

  /** It took a chunk. */
  worked(store: Store): void {
    store.workedAt = this.#now();
    if (store.recovered()) this.#tell(store);
  }

  failed(store: Store, error: HeadwaterError): void {
    const now = this.#now();
    if (!store.failed(error, now)) return;
    this.#tell(store, { error, retryIn: (store.awayUntil - now) / 1000 });
  }

  /** Milliseconds that a server may take for a chunk: many times what the others take. Infinity where nothing is known of them. */
  patienceWith(store: Store, bytes: number): number {
    const paces = this.all.flatMap((each) => (each === store || each.pace === undefined ? [] : [each.pace]));
    if (paces.length === 0) return Infinity;
    const middle = paces.sort((a, b) => a - b)[Math.floor(paces.length / 2)] ?? Infinity;
    return Math.max(LEAST_PATIENCE, SLOW_TIMES * middle * bytes);
  }

  /** Milliseconds until the next one that is left alone is asked again; undefined: none is. */
  get untilNext(): number | undefined {
    const now = this.#now();
    const times = this.open.filter((each) => each.isAway(now)).map(({ awayUntil }) => awayUntil - now);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Why nothing can be sent now. */
  get whyNone(): string {
    const { open, all } = this;
    if (open.length === 0) {
      return all.length === 0
        ? 'the fleet has no file server that takes chunks'
        : 'no file server has room and runs';
    }
    const last = open.map(({ failure }) => failure).find((each) => each !== undefined);
    return last === undefined
      ? 'too few file servers take chunks'
      : `too few file servers take chunks: ${last.message}`;
  }

  progress(): StoreProgress[] {
    const now = this.#now();
    const all = this.all.reduce((sum, { bytes }) => sum + bytes, 0);
    return this.all.map((store) => {
      store.meter.advance(now, store.sending > 0);
      return {
        id: store.number,
        ...shown(store),
        state: store.told.open && !store.isAway(now) ? 'running' : 'waiting',
        bytes: store.bytes,
        share: all === 0 ? 0 : store.bytes / all,
        rate: store.sending > 0 ? (store.meter.rate ?? 0) : 0,
        connections: store.sending,
      };
    });
  }

  #tell(store: Store, failure?: { readonly error: HeadwaterError; readonly retryIn: number }): void {
    this.#onEvent({
      event: 'server',
      id: store.number,
      ...shown(store),
      state: failure === undefined ? 'running' : 'waiting',
      ...(failure !== undefined && {
        code: failure.error.code,
        message: failure.error.message,
        retryIn: failure.retryIn,
      }),
    });
  }
}

/** What one server says of another one. */
export function toldError(code: string, message: string): HeadwaterError {
  const known: ErrorCode = Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'HW_PROTOCOL';
  return new HeadwaterError(known, message);
}

function shown({ told }: Store): { url: string; name: string; zone: string } {
  return { url: told.url, name: told.name, zone: told.zone };
}
