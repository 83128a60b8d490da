import { openConnection } from '../../transport/open-connection.ts';
import type { Connection, TransportSettings } from '../../transport/connection.ts';
import { shownUrl } from '../../transport/shown-url.ts';
import { Bitmap, fullBitmap } from '../../core/bitmap.ts';
import type { ChunkLayout } from '../../core/chunks.ts';
import type { FaultKind } from '../../core/scheduler/types.ts';
import type { Validators } from './answer.ts';

/** What the first answer of a source told. */
export interface Introduction extends Validators {
  /** Bytes in the file; undefined where a source that answers no ranges does not say. */
  readonly size: number | undefined;
  /** It answers byte ranges. */
  readonly ranges: boolean;
  /** SHA-256 of the whole that it states. */
  readonly sha256: string | undefined;
  /** Where its manifest is, if it offers one. */
  readonly manifest: URL | undefined;
  /** File name from Content-Disposition. */
  readonly name: string | undefined;
}

/** Milliseconds for which a redirect is remembered before a refusal makes us follow it anew. */
const LEAST_REDIRECT_AGE = 1_000;

/** One source and its connections; closes them. */
export class Source {
  /** From 1, in the order given. */
  readonly id: number;
  /** The URL as given. */
  readonly url: URL;
  /** For messages: without credentials. */
  readonly shown: string;
  /** Where the URL led; asked from then on. */
  target: URL;
  introduction: Introduction | undefined;
  /** Chunks that it holds; undefined: all. Replaced as a whole when that changes. */
  has: Bitmap | undefined;
  /** It may be asked now, as far as its caller's feed says. */
  available = true;
  readonly #headers: () => Readonly<Record<string, string>>;
  readonly #transport: TransportSettings;
  readonly #slots: (Connection | undefined)[] = [];
  /** Connections that lanes under way still read from, to where the URL led before. */
  readonly #former: Connection[] = [];
  #closedOpened = 0;
  /** When a probe found where the URL leads. */
  #followedAt: number | undefined;

  /** @param headers asked anew for every request */
  constructor(
    id: number,
    url: URL,
    headers: () => Readonly<Record<string, string>>,
    transport: TransportSettings,
  ) {
    this.id = id;
    this.url = url;
    this.shown = shownUrl(url);
    this.target = url;
    this.#headers = headers;
    this.#transport = transport;
  }

  /** It does not hold this chunk, although it was said to. */
  lacks(chunk: number, { count }: ChunkLayout): void {
    const has = this.has ?? fullBitmap(count);
    this.has = new Bitmap(count, has.bytes);
    this.has.delete(chunk);
  }

  /** Header fields for a request to `to`. What proves who we are goes to the host that was named only. */
  headersFor(to: URL): Readonly<Record<string, string>> {
    const base = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'headwater' };
    const fields = this.#headers();
    if (to.origin === this.url.origin) return { ...base, ...fields };
    const kept = Object.entries(fields).filter(([name]) => !/^(authorization|cookie)$/i.test(name));
    return { ...base, ...Object.fromEntries(kept) };
  }

  /** The connection in a slot; made when it is first asked for. */
  connection(slot: number): Connection {
    return (this.#slots[slot] ??= openConnection(this.target, this.#transport));
  }

  /** A connection outside the slots, to any origin. The caller closes it. */
  spareConnection(to: URL): Connection {
    return openConnection(to, this.#transport);
  }

  /**
   * The connection in slot 0, for a small question while nothing else goes over it, so that there are no more
   * connections than the caller allows; undefined for another origin. Not the caller's to close.
   */
  freeConnection(to: URL): Connection | undefined {
    return to.origin === this.target.origin ? this.connection(0) : undefined;
  }

  /** A probe has found where the URL leads: asked there from now on, first over the probe's own connection. */
  settle(target: URL, introduction: Introduction, connection: Connection): void {
    this.target = target;
    this.introduction = introduction;
    this.#followedAt = performance.now();
    for (const former of this.#slots) if (former !== undefined) this.#former.push(former);
    this.#slots.length = 0;
    this.#slots[0] = connection;
  }

  /**
   * The URL may lead somewhere new by now: it led elsewhere, long enough ago, and such addresses are often signed and
   * expire; or nobody has looked yet where it leads.
   */
  worthFollowing(refusal: FaultKind): boolean {
    if (this.#followedAt === undefined) return refusal === 'redirect';
    return this.target.href !== this.url.href && performance.now() - this.#followedAt > LEAST_REDIRECT_AGE;
  }

  closeSlot(slot: number): void {
    this.#slots[slot]?.close();
  }

  /** Connections opened so far. */
  get opened(): number {
    const all = [...this.#slots, ...this.#former];
    return all.reduce((sum, each) => sum + (each?.opened ?? 0), this.#closedOpened);
  }

  close(): void {
    this.#closedOpened = this.opened;
    for (const connection of [...this.#slots, ...this.#former]) connection?.close();
    this.#slots.length = 0;
    this.#former.length = 0;
  }
}
