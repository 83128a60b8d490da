import type { Context } from '../context.ts';
import { perContext } from '../per-context.ts';
import { catalogueOf } from './catalogue.ts';
import { Endings, type Ending } from './endings.ts';
import { readGrantRow } from './grant-store.ts';
import type { Holders } from './holders.ts';

/** Milliseconds between two looks at the holders of what is watched: changes made on other servers are seen so late. */
const LOOK_EVERY = 1_000;
/** Milliseconds between looks because of changes here: a hundred servers can come at once. */
const LEAST_PAUSE = 50;
/** Contents asked for in one query. */
const MOST_ASKED = 500;

/** What somebody waits for. */
interface Wait {
  readonly contentId: number;
  readonly grantId: string;
  /** The version that they have. */
  readonly version: string | undefined;
  /** Milliseconds that they wait at most. */
  readonly time: number;
  /** They have gone. */
  readonly gone: AbortSignal;
}

interface Waiter extends Wait {
  readonly end: () => void;
}

/**
 * Wakes downloads whose sources have changed. All that wait share one query a second for what they wait for, however many
 * they are.
 */
class SourceWatch {
  readonly #context: Context;
  readonly #waiters = new Map<number, Set<Waiter>>();
  readonly #endings: Endings;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #lookAgain = false;

  constructor(context: Context) {
    this.#context = context;
    this.#endings = new Endings(context, (what) => this.ended(what));
    context.signal.addEventListener('abort', () => this.#endAll(), { once: true });
  }

  /** Resolves when a content's sources are others than those of `version`, the time is over, or the waiter has gone. */
  async change(wait: Wait): Promise<void> {
    if (wait.gone.aborted || this.#context.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter: Waiter = { ...wait, end: () => resolve() };
    const timer = setTimeout(waiter.end, wait.time);
    wait.gone.addEventListener('abort', waiter.end, { once: true });
    const { contentId } = wait;
    let others = this.#waiters.get(contentId);
    if (others === undefined) this.#waiters.set(contentId, (others = new Set()));
    others.add(waiter);
    this.#lookIn(LOOK_EVERY);
    void this.#endIfRevoked(waiter);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      wait.gone.removeEventListener('abort', waiter.end);
      others.delete(waiter);
      if (others.size === 0 && this.#waiters.get(contentId) === others) this.#waiters.delete(contentId);
      if (this.#waiters.size === 0) {
        this.#rest();
        this.#endings.stop();
      }
    }
  }

  /** Servers or what they hold have changed on this server: those who wait are told now. */
  changed(): void {
    catalogueOf(this.#context).holders.forget();
    if (this.#isLooking) this.#lookAgain = true;
    else if (this.#waiters.size > 0) {
      this.#rest();
      this.#lookIn(LEAST_PAUSE);
    }
  }

  /** A file or a grant is no more: who waits with it is told now. */
  ended(what: Ending): void {
    for (const [contentId, waiters] of this.#waiters) {
      for (const waiter of waiters) {
        if ('grantId' in what ? waiter.grantId === what.grantId : contentId === what.contentId) waiter.end();
      }
    }
  }

  /** A grant that was revoked elsewhere just before anybody listened for it here. */
  async #endIfRevoked(waiter: Waiter): Promise<void> {
    try {
      await this.#endings.begin();
      const grant = await readGrantRow(this.#context.database.queries, waiter.grantId);
      if (grant !== undefined && grant.revoked_at !== null) waiter.end();
    } catch (error) {
      this.#context.log.warn({ err: error }, 'whether a running download was revoked could not be read');
    }
  }

  #lookIn(time: number): void {
    if (this.#timer !== undefined || this.#isLooking) return;
    this.#timer = setTimeout(() => void this.#look(), time);
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    this.#rest();
    this.#isLooking = true;
    this.#lookAgain = false;
    try {
      const contents = [...this.#waiters.keys()];
      for (let from = 0; from < contents.length; from += MOST_ASKED) {
        const asked = contents.slice(from, from + MOST_ASKED);
        this.#wake(await catalogueOf(this.#context).holders.get(asked));
      }
    } catch (error) {
      // They wait on: the next look may find the database there again.
      this.#context.log.warn({ err: error }, 'the sources of running downloads could not be read');
    }
    this.#isLooking = false;
    if (this.#waiters.size > 0) this.#lookIn(this.#lookAgain ? LEAST_PAUSE : LOOK_EVERY);
  }

  #wake(holders: ReadonlyMap<number, Holders>): void {
    for (const [contentId, { version }] of holders) {
      for (const waiter of this.#waiters.get(contentId) ?? []) if (waiter.version !== version) waiter.end();
    }
  }

  #endAll(): void {
    this.#rest();
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.end();
  }
}

export const sourceWatchOf = perContext((context) => new SourceWatch(context));
