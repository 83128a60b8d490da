import type { GrantClaims } from '../../core/api/files.ts';
import type { BodyUnderWay } from '../answer.ts';
import { MOST_DOWNLOADS } from './limits.ts';

/** What is known of a grant here. */
interface Known {
  readonly file: string;
  /** Who downloads. */
  readonly user: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
  /** A request for it came. */
  seen: boolean;
  bodies: Set<BodyUnderWay> | undefined;
}

/** Downloads of this server: grants that the fleet told of or that came with requests, and the answers that each gets. */
export class DownloadBook {
  /** By the grant's id, the one heard of longest ago first. */
  readonly #known = new Map<string, Known>();
  #granted = 0;
  #seen = 0;
  #untold = 0;

  /** Grants that the fleet told of, and downloads seen, since the start. */
  get counts(): { readonly granted: number; readonly seen: number } {
    return { granted: this.#granted, seen: this.#seen };
  }

  /** Downloads seen that the fleet was not told of yet. */
  get untold(): number {
    return this.#untold;
  }

  told(count: number): void {
    this.#untold -= count;
  }

  /** The fleet told of a grant. False when that was known. */
  granted(grant: string, about: { file: string; user: string; expiresAt: number }): boolean {
    const known = this.#known.get(grant);
    if (known !== undefined) {
      known.expiresAt = Math.max(known.expiresAt, about.expiresAt);
      return false;
    }
    this.#granted++;
    this.#add(grant, { ...about, seen: false, bodies: undefined });
    return true;
  }

  /** Whether a request of that grant came before. */
  hasSeen(grant: string): boolean {
    return this.#known.get(grant)?.seen === true;
  }

  /** A request came with it. */
  saw({ jti, file, sub, exp }: GrantClaims): void {
    const known = this.#known.get(jti) ?? {
      file,
      user: sub,
      expiresAt: exp * 1000,
      seen: false,
      bodies: undefined,
    };
    if (!this.#known.has(jti)) this.#add(jti, known);
    known.expiresAt = Math.max(known.expiresAt, exp * 1000);
    if (known.seen) return;
    known.seen = true;
    this.#seen++;
    this.#untold++;
  }

  /** An answer of that grant sends a body. */
  began(grant: string, body: BodyUnderWay): void {
    const known = this.#known.get(grant);
    if (known === undefined) return;
    known.bodies ??= new Set();
    known.bodies.add(body);
  }

  ended(grant: string, body: BodyUnderWay): void {
    const known = this.#known.get(grant);
    known?.bodies?.delete(body);
    if (known?.bodies?.size === 0) known.bodies = undefined;
  }

  /** Cuts off what is sent for that grant. */
  cutGrant(grant: string): void {
    cut(this.#known.get(grant));
  }

  /** Cuts off what is sent of that file. */
  cutFile(file: string): void {
    for (const known of this.#known.values()) if (known.file === file) cut(known);
  }

  /** Forgets what is over. `now`: milliseconds since 1970. */
  prune(now: number): void {
    for (const [grant, { expiresAt, bodies }] of this.#known) {
      if (expiresAt < now && bodies === undefined) this.#known.delete(grant);
    }
  }

  #add(grant: string, known: Known): void {
    this.#known.set(grant, known);
    if (this.#known.size <= MOST_DOWNLOADS) return;
    // One with an answer under way must stay, to be cut off when it is revoked.
    for (const [oldest, { bodies }] of this.#known) {
      if (bodies !== undefined) continue;
      this.#known.delete(oldest);
      break;
    }
  }
}

function cut(known: Known | undefined): void {
  // One that ends takes itself out of the set, which a walk through it bears.
  known?.bodies?.forEach((body) => body.cut());
}
