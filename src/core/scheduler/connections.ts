import type { Source } from './state.ts';

/**
 * How many connections a source gets: more only while its total rate, and the download's, rise with them. One source
 * is tried at a time, so that what changes can be told from what was changed.
 */

/** Milliseconds over which a rate is measured before and after. */
const WINDOW = 250;
/** Milliseconds that new connections get to come up to speed before they are measured. */
const SETTLE = 100;
/** A trial that lasts longer than this without bytes on the new connections failed, milliseconds. */
const MOST_TRIAL = 3_000;
/** Doubling the connections must raise the source's rate by this factor to be kept. */
const WORTH = 1.25;
/** From this factor on, connections are what is short: the next step is the steep one again. */
const SHORT = 1.7;
/** A source that never refused to gain gets this many times its connections at once; others twice. */
const STEEP = 4;
/** Part of the source's gain that must be seen in the download's total; the rest it took from its neighbours. */
const REAL_GAIN = 0.5;
/** Milliseconds until a source that gained nothing is tried again; doubles up to the second figure. */
const FIRST_REST = 1_000;
/** The same for output in order: there a source also gains by what the window keeps from others. */
const FIRST_REST_IN_ORDER = 5_000;
const MOST_REST = 60_000;
/** A trial is worth its while only with this many seconds of the download left. */
const LEAST_LEFT = 1.5;
/** Nor where one connection's chunk would last longer than this part of it: each connection holds one when it fails. */
const CHUNK_PART = 1 / 8;

interface Mark {
  readonly at: number;
  readonly source: number;
  readonly all: number;
}

interface Trial {
  readonly source: Source;
  readonly before: number;
  readonly factor: number;
  phase: 'baseline' | 'settle' | 'measure';
  readonly startedAt: number;
  mark: Mark;
  baseline: { source: number; all: number } | undefined;
}

export class ConnectionTrials {
  readonly #most: number;
  readonly #chunkSize: number;
  #trial: Trial | undefined;
  /** Where the next search for a source to try begins, so that all get their turn. */
  #turn = 0;
  #nextFactor = 2;
  /** Only so many chunks ahead are handed out; figures are muddier then. */
  inOrder = false;

  constructor(most: number, chunkSize: number) {
    this.#most = most;
    this.#chunkSize = chunkSize;
  }

  /** When `step` should be called next for the sake of a trial. */
  get wakeAt(): number {
    if (this.#trial === undefined) return Infinity;
    return this.#trial.mark.at + (this.#trial.phase === 'settle' ? SETTLE : WINDOW);
  }

  /** A source that ran into trouble is not tried further. */
  drop(source: Source): void {
    if (this.#trial?.source === source) this.#trial = undefined;
  }

  /**
   * @param all bytes received from all sources so far
   * @param secondsLeft estimate for the whole download
   * @returns whether some source should have another number of connections now
   */
  step(now: number, sources: readonly Source[], all: number, secondsLeft: number): boolean {
    const trial = this.#trial;
    const before = trial?.source.target;
    if (trial === undefined) this.#begin(now, sources, all, secondsLeft);
    else if (held(trial.source)) this.#end(trial, now, false);
    else this.#continue(trial, now, all, secondsLeft);
    return trial !== undefined && trial.source.target !== before;
  }

  #begin(now: number, sources: readonly Source[], all: number, secondsLeft: number): void {
    if (secondsLeft < LEAST_LEFT) return;
    for (let i = 0; i < sources.length; i++) {
      const source = sources[(this.#turn + i) % sources.length];
      if (source === undefined || !this.#worthTrying(source, now)) continue;
      const steep = source.settledFor === 0 && !this.inOrder;
      const factor = steep ? STEEP : i === 0 ? this.#nextFactor : 2;
      const chunkSeconds = (this.#chunkSize * source.target) / (source.meter.rate ?? 0);
      if (chunkSeconds > secondsLeft * CHUNK_PART) continue;
      this.#turn = (this.#turn + i) % sources.length;
      this.#trial = {
        source,
        before: source.target,
        factor,
        phase: 'baseline',
        startedAt: now,
        mark: { at: now, source: source.total, all },
        baseline: undefined,
      };
      return;
    }
  }

  #worthTrying(source: Source, now: number): boolean {
    return (
      source.state === 'running' &&
      !source.trial &&
      source.target < this.#most &&
      now >= source.settledUntil &&
      source.total > 0 &&
      flowing(source) &&
      !held(source)
    );
  }

  #continue(trial: Trial, now: number, all: number, secondsLeft: number): void {
    const { source, mark } = trial;
    if (source.state !== 'running' || secondsLeft < LEAST_LEFT / 2) return this.#end(trial, now, false);
    if (now - mark.at < (trial.phase === 'settle' ? SETTLE : WINDOW)) return;
    const elapsed = now - mark.at;
    const rates = { source: (source.total - mark.source) / elapsed, all: (all - mark.all) / elapsed };
    const here = { at: now, source: source.total, all };
    if (trial.phase === 'baseline') {
      trial.baseline = rates;
      trial.phase = 'settle';
      source.target = Math.min(trial.before * trial.factor, this.#most);
    } else if (trial.phase === 'settle') {
      if (flowing(source) || now - trial.startedAt >= MOST_TRIAL) trial.phase = 'measure';
    } else {
      return this.#judge(trial, rates, now);
    }
    trial.mark = here;
  }

  #judge(trial: Trial, rates: { source: number; all: number }, now: number): void {
    const { baseline, source } = trial;
    if (baseline === undefined) return this.#end(trial, now, false);
    const gain = rates.source - baseline.source;
    const wanted = 1 + (WORTH - 1) * Math.log2(source.target / trial.before);
    const kept = rates.source >= baseline.source * wanted && rates.all - baseline.all >= gain * REAL_GAIN;
    // The same source goes on at once, in larger steps where each connection brought its full share.
    this.#nextFactor =
      kept && rates.source >= baseline.source * (SHORT / 2) * (source.target / trial.before) ? 4 : 2;
    this.#end(trial, now, kept);
  }

  #end(trial: Trial, now: number, kept: boolean): void {
    this.#trial = undefined;
    const { source } = trial;
    if (kept) {
      source.settledFor = 0;
      return;
    }
    this.#turn++;
    this.#nextFactor = 2;
    if (trial.phase !== 'baseline') source.target = Math.min(source.target, trial.before);
    const first = this.inOrder ? FIRST_REST_IN_ORDER : FIRST_REST;
    source.settledFor = Math.min(Math.max(source.settledFor * 2, first), MOST_REST);
    source.settledUntil = now + source.settledFor;
  }
}

/** Every connection it should have is busy and has answered before. */
function flowing(source: Source): boolean {
  let lanes = 0;
  for (const lane of source.slots) {
    if (lane === undefined) continue;
    if (!source.open.has(lane.slot)) return false;
    lanes++;
  }
  return lanes >= source.target;
}

/** We do not read from it all the time: what it brings says nothing of what it could. */
function held(source: Source): boolean {
  return source.slots.some((lane) => lane !== undefined && (lane.heldAt !== undefined || lane.heldTime > 0));
}
