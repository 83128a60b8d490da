import { setTimeout as sleep } from 'node:timers/promises';

import type { FastifyBaseLogger } from 'fastify';

import { HeadwaterError } from '../../core/errors.ts';
import type { Database } from '../../database/database.ts';
import type { LeaderTask } from './leader-task.ts';
import { readLease, releaseLease, renewLease, takeLease, type Candidate } from './lease.ts';
import { membersHere, sayGone, sayHere } from './members.ts';

/** Renewals within the time of a lease: three may fail. */
const RENEWALS = 4;
/** Milliseconds at most that candidates wait after a lease has run out, by chance, so that not all come at once. */
const JITTER = 200;

/** One time of leading: from taking the lease until it is lost or given up. */
interface Reign {
  readonly epoch: number;
  readonly controller: AbortController;
  /** Until when the lease is surely held, by this process's own monotonic clock, which goes on while it is stopped. */
  until: number;
  readonly timer: NodeJS.Timeout;
}

/** What leadership runs on. */
export interface LeadershipParts {
  readonly database: Database;
  readonly self: Candidate;
  /** Milliseconds for which the lease is held without being renewed. */
  readonly lease: number;
  readonly log: FastifyBaseLogger;
}

/** Stands for the lead, holds it while it can, and runs the leader's tasks meanwhile. */
export class Leadership {
  readonly #parts: LeadershipParts;
  readonly #tasks: readonly LeaderTask[];
  readonly #stopping = new AbortController();
  readonly #runs = new Set<Promise<void>>();
  #reign: Reign | undefined;
  #loop: Promise<void> | undefined;
  #members: readonly string[];
  #leaderUrl: string | undefined;

  constructor(parts: LeadershipParts, tasks: readonly LeaderTask[]) {
    this.#parts = parts;
    this.#tasks = tasks;
    this.#members = [parts.self.url];
  }

  /** Whether this server leads, as surely as it can know. Writes need `fenced` all the same. */
  get isLeader(): boolean {
    return this.#reign !== undefined && performance.now() < this.#reign.until;
  }

  /** Epoch of the lead that this server has. */
  get epoch(): number | undefined {
    return this.isLeader ? this.#reign?.epoch : undefined;
  }

  /** Address of who leads, as far as known. */
  get leaderUrl(): string | undefined {
    return this.isLeader ? this.#parts.self.url : this.#leaderUrl;
  }

  /** Addresses of the information servers that are there. */
  get members(): readonly string[] {
    return this.#members;
  }

  /** Joins the others and stands for the lead; resolves after the first try. */
  async start(): Promise<void> {
    const rest = await this.#turn();
    this.#loop = this.#repeat(rest);
  }

  /** Gives the lead up at once and waits for what runs. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#depose();
    await this.#loop;
    await Promise.all(this.#runs);
    const { database, self, log } = this.#parts;
    try {
      await releaseLease(database, self);
      await sayGone(database, self.id);
    } catch (error) {
      log.warn({ err: error }, 'the lead could not be given up; it runs out by itself');
    }
  }

  async #repeat(first: number): Promise<void> {
    const { signal } = this.#stopping;
    let rest = first;
    for (;;) {
      await sleep(rest, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      rest = await this.#turn();
    }
  }

  /** Milliseconds until the next turn. */
  async #turn(): Promise<number> {
    const { database, self, lease, log } = this.#parts;
    const period = lease / RENEWALS;
    try {
      const rest = this.#reign === undefined ? await this.#stand(period) : await this.#renew(period);
      await sayHere(database, self);
      const members = await membersHere(database);
      this.#members = [self.url, ...members.filter((url) => url !== self.url)];
      return rest;
    } catch (error) {
      log.warn({ err: error }, 'cannot take part in leadership now');
      return period;
    }
  }

  async #renew(period: number): Promise<number> {
    const { database, self, lease } = this.#parts;
    const reign = this.#reign;
    if (reign === undefined) return period;
    const asked = performance.now();
    const kept = await renewLease(database, self, reign.epoch, lease);
    if (!kept) this.#depose('another has taken the lead');
    else if (this.#reign === reign) {
      reign.until = asked + lease;
      reign.timer.refresh();
    }
    return Math.max(0, period - (performance.now() - asked));
  }

  async #stand(period: number): Promise<number> {
    const { database, self, lease, log } = this.#parts;
    const found = await readLease(database);
    this.#leaderUrl = found?.url;
    if (found !== undefined && found.remaining > 0) {
      return Math.min(period, found.remaining + Math.random() * Math.min(JITTER, period / 2));
    }
    // What an earlier lead has left running must have ended: its tasks may not meet their own successors.
    if (this.#runs.size > 0) return period;
    const asked = performance.now();
    const epoch = await takeLease(database, self, lease);
    if (epoch === undefined || this.#stopping.signal.aborted) return period;
    const timer = setTimeout(() => this.#depose('the lease ran out'), lease).unref();
    const reign: Reign = { epoch, controller: new AbortController(), until: asked + lease, timer };
    this.#reign = reign;
    log.info({ epoch }, 'leads now');
    for (const task of this.#tasks) this.#run(task, reign);
    return period;
  }

  #depose(why?: string): void {
    const reign = this.#reign;
    if (reign === undefined) return;
    this.#reign = undefined;
    clearTimeout(reign.timer);
    reign.controller.abort(new HeadwaterError('HW_STALE_EPOCH', why ?? 'the server stops'));
    if (why !== undefined) this.#parts.log.warn({ epoch: reign.epoch }, `leads no more: ${why}`);
  }

  #run(task: LeaderTask, reign: Reign): void {
    const run = this.#again(task, reign).finally(() => this.#runs.delete(run));
    this.#runs.add(run);
  }

  async #again(task: LeaderTask, reign: Reign): Promise<void> {
    const { signal } = reign.controller;
    while (!signal.aborted) {
      try {
        await task.run(reign.epoch, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof HeadwaterError && error.code === 'HW_STALE_EPOCH') {
          if (this.#reign === reign) this.#depose('another has taken the lead');
          return;
        }
        this.#parts.log.error({ err: error, task: task.name }, 'a task of the leader failed');
      }
      await sleep(task.every * 1000, undefined, { signal }).catch(() => undefined);
    }
  }
}
