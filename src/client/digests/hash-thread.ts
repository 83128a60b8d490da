import { Worker } from 'node:worker_threads';

import { HeadwaterError } from '../../core/errors.ts';
import { diskError } from '../storage/disk-error.ts';
import { hashLoop, type HashAnswer, type HashOrder, type HashTask } from './hash-loop.ts';

/** Megabytes of JavaScript heap a thread may have. It needs about 4; its buffer is not in there. */
const HEAP_MB = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

interface Waiting {
  readonly resolve: (digest: string) => void;
  readonly reject: (error: HeadwaterError) => void;
  readonly bytes: number;
}

/** One thread that hashes. It does its tasks in the order given. Started at once; `close` ends it. */
export class HashThread {
  readonly #worker: Worker;
  readonly #path: string;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #load = 0;
  #ended: HeadwaterError | undefined;

  /** @param path of the file, for messages */
  constructor(path: string) {
    this.#path = path;
    this.#worker = new Worker(`(${hashLoop.toString()})()`, {
      eval: true,
      name: 'hash',
      resourceLimits: HEAP_MB,
      execArgv: [],
      trackUnmanagedFds: false,
    });
    this.#worker.on('message', (answer: HashAnswer) => this.#onAnswer(answer));
    this.#worker.on('error', (cause) => {
      this.#end(new HeadwaterError('HW_INTERNAL', `a hash thread failed: ${String(cause)}`, { cause }));
    });
    this.#worker.on('exit', () => this.#end(new HeadwaterError('HW_INTERNAL', 'a hash thread ended')));
  }

  /** Bytes that are still to be hashed. */
  get load(): number {
    return this.#load;
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** @throws HeadwaterError `HW_DISK` when the bytes cannot be read; `HW_INTERRUPTED` after `close` */
  async run(order: HashOrder): Promise<string> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = this.#nextId++;
    const bytes = order.end - order.start;
    this.#load += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, bytes });
      this.#worker.postMessage({ ...order, id } satisfies HashTask, []);
    });
  }

  /** Ends the thread and every task that it has not done. */
  async close(): Promise<void> {
    this.#end(new HeadwaterError('HW_INTERRUPTED', `hashing of ${this.#path} was stopped`));
    await this.#worker.terminate();
  }

  #onAnswer({ id, digest, error }: HashAnswer): void {
    const task = this.#waiting.get(id);
    if (task === undefined) return;
    this.#waiting.delete(id);
    this.#load -= task.bytes;
    if (digest === undefined) task.reject(diskError(error, 'read', this.#path));
    else task.resolve(digest);
  }

  #end(why: HeadwaterError): void {
    this.#ended ??= why;
    for (const task of this.#waiting.values()) task.reject(this.#ended);
    this.#waiting.clear();
    this.#load = 0;
  }
}
