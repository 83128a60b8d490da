import { BrokenPromise } from './broken-promise.ts';
import { isCalm } from './fleet.ts';
import type { Lane } from './lane.ts';
import type { Scene } from './scene.ts';

/** Says of every landed chunk whether it is right, holds the scheduler's count against its own, and looks for liars. */
export class Verdicts {
  readonly #scene: Scene;
  /** Which source gave each done chunk, and whether wrongly. */
  readonly #givers = new Map<number, { readonly source: number; readonly wrong: boolean }>();
  /** What this liar gave has been fetched again from others. */
  #convicted: number | undefined;
  /** A digest of the whole is being looked at. */
  checking = false;
  /** Chunks were fetched anew because a source was doubted. */
  reopened = false;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  judge(lane: Lane, chunk: number, wrong: boolean): void {
    const { scheduler, book, ledger, fleet, referee, now } = this.#scene;
    const wasDone = scheduler.done.has(chunk);
    if (wasDone !== book.isDone(chunk)) this.#miscounted(chunk);
    book.judge(chunk);
    if (wrong && fleet.verification === 'chunks') {
      this.#scene.note(() => `bad ${lane.id} ${chunk}`);
      ledger.spoil(chunk);
      referee.spoilt(lane.source);
      scheduler.bad(lane.id, chunk, now);
      this.#scene.asked = true;
      if (scheduler.done.has(chunk) !== wasDone) this.#miscounted(chunk);
      return;
    }
    this.#scene.note(() => `verified ${lane.id} ${chunk}`);
    if (wasDone) {
      ledger.duplicate(chunk);
    } else {
      book.finish(chunk);
      ledger.keep(chunk);
      this.#givers.set(chunk, { source: lane.source, wrong });
    }
    scheduler.verified(lane.id, chunk, now);
    if (!scheduler.done.has(chunk) || scheduler.done.count !== book.doneCount) this.#miscounted(chunk);
    if (scheduler.tailFrom !== undefined || scheduler.finished) this.#scene.asked = true;
    this.advanceWindow();
  }

  #miscounted(chunk: number): never {
    const { done } = this.#scene.scheduler;
    const what = `chunk ${chunk} ${done.has(chunk) ? 'counts' : 'does not count'} as done, with ${done.count} in all`;
    throw new BrokenPromise('every chunk once', this.#scene.now, what);
  }

  /** Output in order: what lies too far ahead of the first missing chunk may not be handed out. */
  advanceWindow(): void {
    const { fleet, book, scheduler, now } = this.#scene;
    if (fleet.window === undefined) return;
    const limit = Math.min(book.front + fleet.window, book.layout.count);
    if (limit <= book.limit && now > 0) return;
    book.limit = limit;
    scheduler.setLimit(limit);
    this.#scene.asked = true;
  }

  /** When the whole is wrong, has what one source gave fetched again from others; false when it is right. */
  reopenSuspect(): boolean {
    const { scheduler, referee, agenda, fleet, now, random } = this.#scene;
    if (this.#convicted !== undefined && !referee.isBanned(this.#convicted)) {
      scheduler.ban(this.#convicted, 'bad-bytes', now);
    }
    this.#convicted = undefined;
    let guilty: number | undefined;
    const innocent = new Set<number>();
    for (const { source, wrong } of this.#givers.values()) {
      if (wrong) guilty = source;
      else if (this.isCalmAnchor(source)) innocent.add(source);
    }
    if (guilty === undefined) return false;
    const [doubted] = innocent;
    const calm = [...this.#scene.sources.keys()].filter((id) => this.isCalmAnchor(id)).length;
    // Sometimes the wrong one is doubted first: where another can give what it gave.
    const suspect = doubted !== undefined && calm > 1 && random() < 0.3 ? doubted : guilty;
    this.checking = true;
    agenda.add(now + fleet.verifyMs, () => {
      this.checking = false;
      this.#reopen(suspect);
      if (suspect === guilty) this.#convicted = suspect;
    });
    return true;
  }

  #reopen(suspect: number): void {
    const { book, ledger, scheduler, now } = this.#scene;
    const chunks = [...this.#givers].filter(([, { source }]) => source === suspect).map(([chunk]) => chunk);
    this.#scene.note(() => `reopens ${chunks.length} chunks of source ${suspect}`);
    for (const chunk of chunks) {
      book.reopen(chunk, suspect, now);
      ledger.reopen(chunk);
      this.#givers.delete(chunk);
    }
    scheduler.reopen(chunks, suspect, now);
    this.reopened = true;
    this.#scene.asked = true;
  }

  /** Holds everything, and nothing ever goes wrong with it. */
  isCalmAnchor(id: number): boolean {
    const { script } = this.#scene.source(id);
    return isCalm(script) && script.part === undefined;
  }
}
