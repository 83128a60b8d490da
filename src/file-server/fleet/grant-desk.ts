import { DownloadBook } from './download-book.ts';
import { FleetClock } from './fleet-clock.ts';
import { GrantCheck } from './grant-check.ts';
import { KEY_SET, KeyRing, type KeySet } from './key-ring.ts';
import { Revocations } from './revocations.ts';
import type { StateFile } from './state-file.ts';

/** Milliseconds between two looks for downloads that are over. */
const PRUNE_EVERY = 60_000;

export interface GrantDeskOptions {
  readonly state: StateFile;
  /** The fleet's id, once it is known. */
  readonly fleet: () => string | undefined;
  /** Asks an information server for the fleet's keys. */
  readonly askKeys: () => Promise<unknown>;
}

/** Everything that grants are checked with, and what is known of the downloads that they are for. */
export class GrantDesk {
  readonly clock = new FleetClock();
  readonly downloads = new DownloadBook();
  readonly revocations: Revocations;
  readonly keys: KeyRing;
  readonly check: GrantCheck;
  readonly #timer: NodeJS.Timeout;

  constructor({ state, fleet, askKeys }: GrantDeskOptions) {
    this.revocations = new Revocations(state, this.clock);
    this.keys = new KeyRing({
      kept: keptKeys(state),
      ask: async () => KEY_SET.parse(await askKeys()),
      keep: (keys) => state.setFact('keys', JSON.stringify(keys)),
    });
    const { clock, keys, revocations } = this;
    this.check = new GrantCheck({ fleet, keys, clock, revocations });
    this.#timer = setInterval(() => this.downloads.prune(this.clock.now()), PRUNE_EVERY).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.keys.close();
  }
}

/** Those of the last time: with them grants are checked before any information server has answered. */
function keptKeys(state: StateFile): KeySet | undefined {
  const kept = state.fact('keys');
  return kept === undefined ? undefined : KEY_SET.safeParse(JSON.parse(kept)).data;
}
