import type { PartFile } from '../storage/part-file.ts';

/** Most buffers that go into one write; more would only make the first of them wait. */
const MOST_AT_ONCE = 8;

interface Job {
  readonly bytes: Uint8Array;
  readonly position: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes one thing at a time, neighbours together. The kernel lets one thread write a file at a time, and the others
 * burn a core waiting for it.
 */
export class WriteQueue {
  readonly #part: PartFile;
  readonly #jobs: Job[] = [];
  #busy = false;

  constructor(part: PartFile) {
    this.#part = part;
  }

  /** Resolves when the bytes are in the file. @throws HeadwaterError `HW_DISK_FULL`, `HW_DISK` */
  write(bytes: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ bytes, position, resolve, reject });
      if (!this.#busy) this.#next();
    });
  }

  #next(): void {
    const first = this.#jobs.shift();
    if (first === undefined) {
      this.#busy = false;
      return;
    }
    this.#busy = true;
    const batch = [first];
    let end = first.position + first.bytes.length;
    while (batch.length < MOST_AT_ONCE) {
      const next = this.#jobs.findIndex((job) => job.position === end);
      const [job] = next < 0 ? [] : this.#jobs.splice(next, 1);
      if (job === undefined) break;
      batch.push(job);
      end += job.bytes.length;
    }
    const written = this.#part.write(
      batch.map((job) => job.bytes),
      first.position,
    );
    written.then(
      () => {
        this.#next();
        for (const job of batch) job.resolve();
      },
      (error: unknown) => {
        this.#next();
        for (const job of batch) job.reject(error);
      },
    );
  }
}
