import type { ConnectionTrials } from './connections.ts';
import { backoff, FAULTS } from './faults.ts';
import { advance } from './observed.ts';
import { patience, quietFor } from './silence.ts';
import { busyLanes, type Lane, type Source } from './state.ts';
import type { Action, Fault, FaultKind } from './types.ts';

interface Options {
  readonly trials: ConnectionTrials;
  readonly random: () => number;
  readonly act: (action: Action) => void;
  readonly cancel: (lane: Lane, reason: 'source-gone') => void;
}

/** Who may be asked, and what changes that: faults, bans, the word of whoever named the source, time. */
export class Standing {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Time passed: who waited for it may be asked again, with care. */
  look(source: Source, now: number): void {
    if (source.state !== 'waiting' || source.withdrawn || now < source.retryAt) return;
    source.state = 'running';
    source.trial = true;
    this.#options.act({ type: 'source', source: source.id, state: 'running' });
  }

  withdraw(source: Source, cut: boolean, now: number): void {
    source.withdrawn = true;
    if (source.state !== 'banned') {
      source.state = 'waiting';
      this.#options.trials.drop(source);
      this.#options.act({ type: 'source', source: source.id, state: 'waiting', fault: 'withdrawn' });
    }
    if (cut) this.#cut(source);
    advance(source, now);
  }

  recall(source: Source, now: number): void {
    source.withdrawn = false;
    if (source.state === 'running') return;
    source.state = 'waiting';
    source.strikes = 0;
    source.retryAt = now;
  }

  retry(source: Source, now: number): void {
    if (source.state === 'waiting') source.retryAt = now;
  }

  ban(source: Source, fault: FaultKind, now: number): void {
    if (source.state === 'banned') return;
    source.state = 'banned';
    this.#options.trials.drop(source);
    this.#cut(source);
    this.#options.act({ type: 'source', source: source.id, state: 'banned', fault });
    advance(source, now);
  }

  fault(source: Source, fault: Fault, now: number): void {
    const { trials, random, act } = this.#options;
    source.failures++;
    const row = FAULTS[fault.kind];
    if (source.state === 'banned') return;
    // It is well; the next question, for one chunk, tells which of those it was asked for it has.
    if (fault.kind === 'not-here') {
      source.trial = true;
      return;
    }
    // A server that dies takes all its connections with it: one strike.
    if (source.state === 'waiting' && row.retries > 0) {
      source.retryAt = Math.max(source.retryAt, now + (fault.retryAfter ?? 0));
      return;
    }
    const others = busyLanes(source).filter((lane) => !lane.cancelled);
    const alive = others.some(
      (lane) => lane.headAt !== undefined && quietFor(lane, now) < patience(lane) / 2,
    );
    trials.drop(source);
    if (!row.wholeSource && alive && fault.retryAfter === undefined) {
      // The others still receive: it takes no more connections than these.
      source.target = Math.max(1, Math.min(source.target, others.length));
      source.settledUntil = Math.max(source.settledUntil, now + backoff(6, fault.retryAfter, random));
      return;
    }
    source.strikes++;
    if (source.strikes > row.retries) return this.ban(source, fault.kind, now);
    source.retryAt = now + backoff(source.strikes, fault.retryAfter, random);
    source.state = 'waiting';
    const { id, retryAt } = source;
    act({ type: 'source', source: id, state: 'waiting', fault: fault.kind, retryAt });
  }

  #cut(source: Source): void {
    for (const lane of busyLanes(source)) if (!lane.cancelled) this.#options.cancel(lane, 'source-gone');
  }
}
