import * as z from 'zod';

import { HeadwaterError } from '../../core/errors.ts';
import { PEERS_AGE, PEERS_ASKED_AGAIN } from './limits.ts';

/** Another file server of the fleet. */
const PEER = z.object({ id: z.uuid(), url: z.url() });
export type Peer = z.infer<typeof PEER>;
const PEERS = z.object({ servers: z.array(PEER).max(100_000) });

/** Where the fleet's other servers are, as an information server says: never as a client does. */
export class Peers {
  /** `GET servers/peers`. */
  readonly #ask: () => Promise<unknown>;
  #known = new Map<string, Peer>();
  #asking: Promise<void> | undefined;
  #askedAt = -Infinity;

  constructor(ask: () => Promise<unknown>) {
    this.#ask = ask;
  }

  /** @throws HeadwaterError `HW_CONNECT` (not known, and nobody can be asked), `HW_NOT_FOUND` (no server of the fleet) */
  async find(id: string): Promise<Peer> {
    const age = performance.now() - this.#askedAt;
    const known = this.#known.get(id);
    if (known !== undefined && age < PEERS_AGE) return known;
    if (known !== undefined || age >= PEERS_ASKED_AGAIN || this.#asking !== undefined) {
      try {
        await this.refresh();
      } catch (error) {
        // It will hardly have moved meanwhile.
        if (known === undefined) throw error;
      }
    }
    const found = this.#known.get(id) ?? known;
    if (found === undefined) throw new HeadwaterError('HW_NOT_FOUND', `${id} is no server of this fleet`);
    return found;
  }

  /** One did not answer: it may be somewhere else by now. */
  doubt(): void {
    this.#askedAt = Math.min(this.#askedAt, performance.now() - PEERS_AGE);
  }

  async refresh(): Promise<void> {
    this.#asking ??= this.#refresh().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #refresh(): Promise<void> {
    const { servers } = PEERS.parse(await this.#ask());
    this.#askedAt = performance.now();
    this.#known = new Map(servers.map((each) => [each.id, each]));
  }
}
