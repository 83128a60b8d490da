import type { Bitmap } from '../../src/core/bitmap.ts';
import type { Fault } from '../../src/core/scheduler/types.ts';
import { SLOW_ANSWER_MS, type SourceScript, type Trouble, type TroubleKind } from './fleet.ts';
import type { Lane } from './lane.ts';

const WITHDRAWN = ['withdrawn', 'gone'] as const;

/** A source as it is at this moment of a run. */
export class SimulatedSource {
  readonly id: number;
  readonly script: SourceScript;
  /** What it holds now, as the scheduler was told. */
  holding: Bitmap;
  joined = false;
  /** Requests that have not ended. */
  readonly lanes = new Set<Lane>();
  /** Slots whose connection is open. */
  readonly open = new Set<number>();
  /** Bytes that came from it. */
  received = 0;
  readonly #troubles = new Set<Trouble>();
  #rate = 0;
  #waver = 1;

  constructor(id: number, script: SourceScript, holding: Bitmap) {
    this.id = id;
    this.script = script;
    this.holding = holding;
    this.#rate = script.rate[0]?.rate ?? 0;
  }

  setRate(rate: number): void {
    this.#rate = rate;
  }

  waver(random: number): void {
    this.#waver = 1 + this.script.jitter * (2 * random - 1);
  }

  begin(trouble: Trouble): void {
    this.#troubles.add(trouble);
  }

  end(trouble: Trouble): void {
    this.#troubles.delete(trouble);
  }

  in(...kinds: readonly TroubleKind[]): boolean {
    for (const { kind } of this.#troubles) if (kinds.includes(kind)) return true;
    return false;
  }

  /** The client was told not to ask it. */
  get withdrawn(): boolean {
    return this.in(...WITHDRAWN);
  }

  /** Bytes a second that its connections carry together now. */
  get rate(): number {
    return this.#rate * this.#waver;
  }

  /** Nothing comes from it, though nothing says that it ended. */
  get silent(): boolean {
    return this.in('stopped', 'unplugged', 'paused');
  }

  /** Bytes a second that a client without doubts, with `connections` of them, could have from it now. */
  capacity(now: number, connections: number): number {
    const start = this.script.joinsAt + this.script.connectMs + this.script.firstByteMs;
    if (now < start || this.silent || this.in('refuses', 'unavailable', 'answers', 'lies', ...WITHDRAWN))
      return 0;
    return Math.min(this.rate, Math.min(connections, this.script.accepts) * this.script.perConnection);
  }

  /** From a request on an open connection to the head of its answer. */
  get answerMs(): number {
    return this.script.firstByteMs + (this.in('slow-answer') ? SLOW_ANSWER_MS : 0);
  }

  /** How a request is answered now: undefined is well. */
  fault(): Fault | undefined {
    for (const { kind, fault, retryAfter } of this.#troubles) {
      if (kind === 'answers') return { kind: fault ?? 'protocol' };
      if (kind === 'unavailable' || kind === 'paused') {
        return retryAfter === undefined ? { kind: 'unavailable' } : { kind: 'unavailable', retryAfter };
      }
    }
    const answered = [...this.lanes].filter((lane) => lane.stage === 'body').length;
    return answered >= this.script.accepts ? { kind: 'unavailable' } : undefined;
  }
}
