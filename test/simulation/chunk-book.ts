import type { ChunkLayout } from '../../src/core/chunks.ts';
import { BrokenPromise } from './broken-promise.ts';
import type { Lane } from './lane.ts';

/** Who owes, has landed and has done which chunk, as the contract has it; kept by the driver. */
export class ChunkBook {
  readonly layout: ChunkLayout;
  /** Lanes that still owe each chunk, cancelled ones among them until they have ended. */
  readonly #owed: Uint16Array;
  /** Lanes that have landed each chunk and whose verdict is awaited. */
  readonly #landed: Uint16Array;
  readonly #done: Uint8Array;
  /** Sources that reopened chunks may not be asked of. */
  readonly #except = new Map<number, number>();
  /** Only chunks below it may be asked for. */
  limit: number;
  doneCount = 0;
  #front = 0;
  /** Chunks that nobody owes, nobody has landed and that are not done. */
  missing: number;

  constructor(layout: ChunkLayout) {
    this.layout = layout;
    this.limit = layout.count;
    this.missing = layout.count;
    this.#owed = new Uint16Array(layout.count);
    this.#landed = new Uint16Array(layout.count);
    this.#done = new Uint8Array(layout.count);
  }

  isDone(chunk: number): boolean {
    return this.#done[chunk] === 1;
  }

  isMissing(chunk: number): boolean {
    return this.#owed[chunk] === 0 && this.#landed[chunk] === 0 && this.#done[chunk] === 0;
  }

  isOwed(chunk: number): boolean {
    return (this.#owed[chunk] ?? 0) > 0;
  }

  hasLanded(chunk: number): boolean {
    return (this.#landed[chunk] ?? 0) > 0;
  }

  isBarred(chunk: number, source: number): boolean {
    return this.#except.get(chunk) === source;
  }

  /** First chunk that is not done. */
  get front(): number {
    let chunk = this.#front;
    while (chunk < this.layout.count && this.isDone(chunk)) chunk++;
    this.#front = chunk;
    return chunk;
  }

  /** Some chunk has landed and is not judged. */
  get awaitsVerdict(): boolean {
    return this.#landed.some((lanes) => lanes > 0);
  }

  owe(from: number, to: number): void {
    for (let chunk = from; chunk < to; chunk++) this.#change(chunk, this.#owed, 1);
  }

  disown(from: number, to: number): void {
    for (let chunk = from; chunk < to; chunk++) this.#change(chunk, this.#owed, -1);
  }

  land(chunk: number): void {
    this.#change(chunk, this.#landed, 1);
    this.#change(chunk, this.#owed, -1);
  }

  /** A verdict on one landed copy is there. */
  judge(chunk: number): void {
    this.#change(chunk, this.#landed, -1);
  }

  finish(chunk: number): void {
    this.#change(chunk, this.#done, 1);
    this.doneCount++;
  }

  reopen(chunk: number, except: number, now: number): void {
    if (!this.isDone(chunk)) throw new BrokenPromise('says what is so', now, `chunk ${chunk} was not done`);
    this.#change(chunk, this.#done, -1);
    this.#except.set(chunk, except);
    this.doneCount--;
    this.#front = Math.min(this.#front, chunk);
  }

  /** Lanes that owe or have landed `chunk`, not counting one that owes it now. */
  rivals(chunk: number): number {
    return (this.#owed[chunk] ?? 0) + (this.#landed[chunk] ?? 0) - 1;
  }

  #change(chunk: number, counts: Uint16Array | Uint8Array, by: 1 | -1): void {
    const before = this.isMissing(chunk);
    counts[chunk] = (counts[chunk] ?? 0) + by;
    const after = this.isMissing(chunk);
    if (before !== after) this.missing += after ? 1 : -1;
  }
}

/** The first and last chunk a lane may still be cut at: it must not have begun the chunk where it ends. */
export function earliestCut(lane: Lane, layout: ChunkLayout): number {
  return lane.read > layout.start(lane.chunk) ? lane.chunk + 1 : lane.chunk;
}
