import { createHash, type Hash } from 'node:crypto';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { ChunkLayout } from '../core/chunks.ts';
import { HeadwaterError } from '../core/errors.ts';
import { backoff, FAULTS } from '../core/scheduler/faults.ts';
import type { AttemptResult } from './attempt-result.ts';
import { outputPath } from './destinations/output-path.ts';
import { SequentialFile, SequentialStream, type SequentialOutput } from './destinations/sequential-output.ts';
import { Limiter } from './limiter.ts';
import type { Member } from './members.ts';
import type { Settings } from './options.ts';
import type { Progress } from './progress.ts';
import { SourceError } from './sources/fault.ts';
import { WholeBody } from './sources/whole-body.ts';
import { Tally } from './tally.ts';
import type { Totals } from './totals.ts';
import type { StateChange } from './transfer.ts';

interface Options {
  readonly settings: Settings;
  readonly member: Member;
  /** Digest of the whole that must come out. */
  readonly sha256: string | undefined;
  readonly totals: Totals;
  readonly progress: Progress;
  readonly onState: (change: StateChange) => void;
  readonly signal: AbortSignal;
}

/**
 * Gets a file from one source that neither answers ranges nor says how long it is: from front to end, in one answer. What
 * breaks off begins anew.
 */
export class SizelessAttempt {
  readonly #options: Options;
  #bytes = 0;
  /** When the answer under way began, and how long earlier ones took, milliseconds. */
  #began = 0;
  #busy = 0;
  #failures = 0;
  #received = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** @throws HeadwaterError, also of a source that is not asked again; what the signal says */
  async run(): Promise<AttemptResult> {
    const { settings, member, progress, sha256 } = this.#options;
    const output = await this.#open();
    try {
      progress.start(
        {
          event: 'start',
          output: output.output,
          size: 0,
          chunkSize: 0,
          chunks: 0,
          resumedBytes: 0,
          verification: sha256 === undefined ? 'none' : 'sha256',
        },
        () => ({ size: this.#bytes, bytes: this.#bytes }),
      );
      const found = await this.#fetch(output, settings.limit);
      if (sha256 !== undefined && found !== sha256) {
        throw new HeadwaterError(
          'HW_VERIFICATION',
          `SHA-256 of what ${member.source.shown} sent is ${found} where ${sha256} was expected`,
        );
      }
      await output.finish();
      return this.#result(output, found);
    } finally {
      await output.close();
    }
  }

  async #open(): Promise<SequentialOutput> {
    const { settings, member } = this.#options;
    if (settings.output instanceof Writable) return new SequentialStream(settings.output);
    return SequentialFile.open(await outputPath(settings.output, member.source, settings.name), settings);
  }

  /** Asks until the answer was whole; gives the SHA-256 of it. */
  async #fetch(output: SequentialOutput, limit: number | undefined): Promise<string> {
    const { member, totals, onState, signal } = this.#options;
    const { source } = member;
    for (;;) {
      signal.throwIfAborted();
      const hash = createHash('sha256');
      const limiter =
        limit === undefined
          ? undefined
          : new Limiter(limit, performance.now(), (stop) =>
              stop ? source.connection(0).pause() : source.connection(0).resume(),
            );
      this.#began = performance.now();
      onState({ state: 'running' });
      try {
        await new WholeBody(source, source.introduction, {
          most: limiter?.piece ?? Infinity,
          take: (bytes) => this.#take(bytes, hash, output),
          came: (length) => {
            const now = performance.now();
            this.#received += length;
            this.#bytes += length;
            limiter?.took(length, now);
            this.#tell(totals, now);
          },
        }).read(signal);
        return hash.digest('hex');
      } catch (error) {
        if (!(error instanceof SourceError) || signal.aborted) throw error;
        await this.#wait(error, output);
      } finally {
        limiter?.close();
        source.connection(0).resume();
        this.#busy += performance.now() - this.#began;
      }
    }
  }

  #take(bytes: Uint8Array, hash: Hash, output: SequentialOutput): Promise<void> {
    hash.update(bytes);
    return output.write(bytes);
  }

  /** @throws the error, when the source is not asked again after it */
  async #wait(error: SourceError, output: SequentialOutput): Promise<void> {
    const { onState, signal } = this.#options;
    const { kind, retryAfter } = error.fault;
    this.#failures++;
    if (this.#failures > FAULTS[kind].retries) throw error;
    await output.restart();
    this.#bytes = 0;
    const retryIn = backoff(this.#failures, retryAfter, Math.random);
    onState({ state: 'waiting', fault: kind, message: error.message, retryIn });
    await sleep(retryIn, undefined, { signal });
  }

  #tell(totals: Totals, now: number): void {
    const { source } = this.#options.member;
    const busySeconds = (this.#busy + now - this.#began) / 1000;
    totals.note(
      {
        source: source.id,
        state: 'running',
        rate: busySeconds > 0 ? this.#received / busySeconds : 0,
        busy: 1,
        bytes: this.#received,
        busySeconds,
        failures: this.#failures,
        badChunks: 0,
      },
      now,
    );
  }

  #result({ output, length }: SequentialOutput, found: string): AttemptResult {
    const { sha256, member } = this.#options;
    const layout = new ChunkLayout(length);
    const tally = new Tally(layout);
    for (let chunk = 0; chunk < layout.count; chunk++) tally.gave(member.source.id, chunk);
    const verified = sha256 === undefined ? 'none' : 'sha256';
    return { output, size: length, verified, sha256: found, tailFrom: undefined, tally };
  }
}
