import { openConnection } from '../../transport/open-connection.ts';
import type { Connection, TransportSettings } from '../../transport/connection.ts';
import { shownUrl } from '../../transport/shown-url.ts';
import type { Validators } from './answer.ts';

/** What the first answer of a source told. */
export interface Introduction extends Validators {
  /** It answers byte ranges. */
  readonly ranges: boolean;
  /** SHA-256 of the whole that it states. */
  readonly sha256: string | undefined;
  /** Where its manifest is, if it offers one. */
  readonly manifest: URL | undefined;
  /** File name from Content-Disposition. */
  readonly name: string | undefined;
}

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
  readonly #headers: Readonly<Record<string, string>>;
  readonly #transport: TransportSettings;
  readonly #slots: (Connection | undefined)[] = [];
  #closedOpened = 0;

  constructor(id: number, url: URL, headers: Readonly<Record<string, string>>, transport: TransportSettings) {
    this.id = id;
    this.url = url;
    this.shown = shownUrl(url);
    this.target = url;
    this.#headers = headers;
    this.#transport = transport;
  }

  /** Header fields for a request to `to`. What proves who we are goes to the host that was named only. */
  headersFor(to: URL): Readonly<Record<string, string>> {
    const base = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'headwater' };
    if (to.origin === this.url.origin) return { ...base, ...this.#headers };
    const kept = Object.entries(this.#headers).filter(([name]) => !/^(authorization|cookie)$/i.test(name));
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

  /** Puts a connection that a probe opened into slot 0. */
  adopt(connection: Connection): void {
    this.close();
    this.#slots[0] = connection;
  }

  closeSlot(slot: number): void {
    this.#slots[slot]?.close();
  }

  /** Connections opened so far. */
  get opened(): number {
    return this.#slots.reduce((sum, each) => sum + (each?.opened ?? 0), this.#closedOpened);
  }

  close(): void {
    this.#closedOpened = this.opened;
    for (const connection of this.#slots) connection?.close();
    this.#slots.length = 0;
  }
}
