import { HeadwaterError } from '../../core/errors.ts';
import type { PartFile } from '../storage/part-file.ts';

/** Most bytes, and most buffers, that go into one write; more would only make the first of them wait. */
const MOST_BYTES = 8 * 1024 * 1024;
const MOST_BUFFERS = 64;

/** Told when the bytes are in the file, or why they are not: `HW_DISK_FULL`, `HW_DISK`. */
type End = (error: unknown) => void;

interface Job {
  readonly bytes: Uint8Array;
  readonly position: number;
  readonly end: End;
  /** It was part of a write that failed, perhaps not for its own bytes. */
  readonly alone: boolean;
}

/**
 * Writes one thing at a time, neighbours together. The kernel lets one thread write a file at a time, and the others
 * burn a core waiting for it.
 */
export class WriteQueue {
  readonly #part: Pick<PartFile, 'write' | 'writeNow' | 'path'>;
  /** By position, in the order they came. */
  readonly #jobs = new Map<number, Job>();
  #busy = false;

  constructor(part: Pick<PartFile, 'write' | 'writeNow' | 'path'>) {
    this.#part = part;
  }

  /** Nothing else may be written to the same place until `end` is called. */
  write(bytes: Uint8Array, position: number, end: End): void {
    if (this.#jobs.has(position))
      throw new HeadwaterError('HW_INTERNAL', `${this.#part.path} is written twice at byte ${position}`);
    this.#jobs.set(position, { bytes, position, end, alone: false });
    if (!this.#busy) this.#next();
  }

  #next(): void {
    // Before anybody is told of an end: what they do then may bring another write here.
    this.#busy = true;
    for (;;) {
      const batch = this.#batch();
      const [first] = batch;
      if (first === undefined) break;
      const buffers = batch.map((job) => job.bytes);
      if (!this.#part.writeNow(buffers, first.position)) return this.#write(batch, buffers, first.position);
      for (const job of batch) job.end(undefined);
    }
    this.#busy = false;
  }

  #write(batch: readonly Job[], buffers: readonly Uint8Array[], position: number): void {
    this.#part.write(buffers, position).then(
      () => this.#ended(batch),
      (error: unknown) => this.#ended(batch, error),
    );
  }

  #ended(batch: readonly Job[], error?: unknown): void {
    // A disk that has become full may have had room for the first of them.
    const again = error !== undefined && batch.length > 1;
    if (again) for (const job of batch) this.#jobs.set(job.position, { ...job, alone: true });
    this.#next();
    if (!again) for (const job of batch) job.end(error);
  }

  /** The one that came first, and those that follow it in the file. */
  #batch(): Job[] {
    const batch: Job[] = [];
    let bytes = 0;
    for (
      let [job] = this.#jobs.values();
      job !== undefined;
      job = this.#jobs.get(job.position + job.bytes.length)
    ) {
      bytes += job.bytes.length;
      if (batch.length > 0 && (job.alone || bytes > MOST_BYTES || batch.length === MOST_BUFFERS)) break;
      this.#jobs.delete(job.position);
      batch.push(job);
      if (job.alone) break;
    }
    return batch;
  }
}
