import { setTimeout as sleep } from 'node:timers/promises';

import type { Dispatcher } from 'undici';

import { HeadwaterError } from '../../core/errors.ts';
import type { TransportSettings } from '../../transport/connection.ts';
import { proxyFromEnvironment } from '../../transport/proxy-environment.ts';
import { Addresses } from './addresses.ts';
import { answeredError, readAnswer, silenceError, valueOf, type RawAnswer } from './answers.ts';
import { openDispatcher } from './dispatcher.ts';

/** Seconds that one server gets to answer, before another one is asked. */
const ANSWER_TIME = 10;
/** Milliseconds to connect: a server that takes longer is passed over for another one. */
const CONNECT_TIME = 4_000;
/** Seconds for which a call goes on asking while no server is there: a new leader takes up to 6. */
const PATIENCE = 8;
/** Milliseconds before all addresses are asked a second time; doubles with every round. */
const FIRST_ROUND = 200;
/** Longest pause between two rounds, milliseconds. */
const MOST_ROUND = 2_000;

export interface FleetClientSettings {
  /** Addresses of information servers; the others are learned from them. */
  readonly addresses: readonly (string | URL)[];
  /** Session token or API key. */
  readonly token?: string;
  /** PEM texts, and whether any certificate will do. */
  readonly tls?: TransportSettings['tls'];
  /** Follow HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Default true. */
  readonly proxy?: boolean;
  /** Seconds for which a call goes on asking while no information server is there. Default 8. */
  readonly patience?: number;
}

export interface Ask {
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** Instead of a body in JSON. */
  readonly bytes?: { readonly type: string; readonly data: Uint8Array };
  readonly signal?: AbortSignal | undefined;
  /** Seconds besides the usual ones that the server may take: it was asked to wait that long. */
  readonly wait?: number;
  /** Doing it twice is the same as once. Default: all but POST. */
  readonly repeatable?: boolean;
  readonly patience?: number;
}

/** Answer of `GET /v1/fleet`. */
export interface About {
  /** The fleet's id. */
  readonly id: string;
  readonly version: string;
  readonly informationServers: readonly string[];
}

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

/**
 * Asks a fleet's information servers. One that is away or answers 503 is passed over for the next; when all are away, they
 * are asked again for a while.
 */
export class FleetClient {
  token: string | undefined;
  readonly #addresses: Addresses;
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();
  readonly #patience: number;
  /** How servers of the fleet are reached, the file servers too. */
  readonly transport: TransportSettings;

  /** @throws HeadwaterError `HW_USAGE` */
  constructor({ addresses, token, tls = {}, proxy = true, patience = PATIENCE }: FleetClientSettings) {
    this.#addresses = new Addresses(addresses);
    this.token = token;
    this.#patience = patience;
    const proxyFor = proxy ? proxyFromEnvironment(process.env) : () => undefined;
    this.transport = { connectTimeout: CONNECT_TIME, tls, proxyFor };
  }

  /** The one that answered last comes first; without a slash at the end. */
  get addresses(): string[] {
    return this.#addresses.inOrder.map(({ href }) => href.replace(/\/$/, ''));
  }

  /** Learns from the fleet where its other information servers are; when it does not say, those known have to do. */
  async learnOthers(signal?: AbortSignal): Promise<void> {
    try {
      const about = await this.ask<About>('GET', 'v1/fleet', { signal, patience: 0 });
      this.#addresses.learn(about.informationServers);
    } catch {
      if (signal?.aborted === true) throw interrupted(signal);
    }
  }

  /** What the fleet says of itself. */
  async about(signal?: AbortSignal): Promise<About> {
    const about = await this.ask<About>('GET', 'v1/fleet', { signal });
    this.#addresses.learn(about.informationServers);
    return about;
  }

  /**
   * Asks for a value. It comes as the information server sent it: what it is made of is the server's to check.
   *
   * @param path below the address, such as `v1/files`
   * @throws HeadwaterError with the code that the server names; `HW_CONNECT` or `HW_SILENT` when none could be reached
   */
  async ask<T>(method: Method, path: string, ask: Ask = {}): Promise<T> {
    const { value } = await this.#anywhere(method, path, ask, async (raw, address) =>
      valueOf(await readAnswer(raw, address), address),
    );
    return value as T;
  }

  /** A long answer, as it comes; broken off when the signal fires. */
  async stream(path: string, ask: Ask = {}): Promise<AsyncIterable<Uint8Array>> {
    const { value } = await this.#anywhere('GET', path, ask, async ({ body }) => body, 'endless');
    return value;
  }

  /** Connections to a file server, kept until the client is closed. */
  fileServer(url: URL): Promise<Dispatcher> {
    return this.#dispatcher(url);
  }

  async close(): Promise<void> {
    for (const dispatcher of this.#dispatchers.values()) {
      await (await dispatcher.catch(() => undefined))?.destroy();
    }
    this.#dispatchers.clear();
  }

  async #anywhere<T>(
    method: Method,
    path: string,
    ask: Ask,
    read: (raw: RawAnswer, address: URL) => Promise<T>,
    kind: 'whole' | 'endless' = 'whole',
  ): Promise<{ value: T }> {
    const { patience = this.#patience, repeatable = method !== 'POST' } = ask;
    const until = performance.now() + patience * 1000;
    let perhapsDone = false;
    for (let round = 0; ; round++) {
      const failures: HeadwaterError[] = [];
      for (const address of this.#addresses.inOrder) {
        const result = await this.#once(method, address, path, ask, read, kind);
        if (!('error' in result)) {
          this.#addresses.prefer(address);
          return result;
        }
        const { error, unsent } = result;
        if (ask.signal?.aborted === true) throw interrupted(ask.signal);
        // The first time did it, and its answer was lost.
        if (perhapsDone && method === 'DELETE' && error.code === 'HW_NOT_FOUND')
          return { value: undefined as T };
        if (!passesOn(error)) throw error;
        if (!unsent && !repeatable) throw error;
        perhapsDone ||= !unsent;
        failures.push(error);
      }
      const left = until - performance.now();
      const pause = pauseAfter(failures, round);
      if (pause > left) throw none(failures);
      await sleep(pause, undefined, ask.signal === undefined ? {} : { signal: ask.signal }).catch(() => {
        throw interrupted(ask.signal);
      });
    }
  }

  async #once<T>(
    method: Method,
    address: URL,
    path: string,
    { query = {}, body, bytes, signal, wait = 0 }: Ask,
    read: (raw: RawAnswer, address: URL) => Promise<T>,
    kind: 'whole' | 'endless',
  ): Promise<{ value: T } | { error: HeadwaterError; unsent: boolean }> {
    const url = new URL(path, address);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new DOMException('late', 'TimeoutError')),
      (ANSWER_TIME + wait) * 1000,
    );
    try {
      const dispatcher = await this.#dispatcher(address);
      const raw = await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: {
          accept: kind === 'endless' ? 'text/event-stream' : 'application/json',
          ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(bytes !== undefined && { 'content-type': bytes.type }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(bytes !== undefined && { body: bytes.data }),
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const answer: RawAnswer = { status: raw.statusCode, headers: raw.headers, body: raw.body };
      const failed = answer.status >= 300;
      if (failed)
        return { unsent: true, error: answeredError(answer, await readAnswer(answer, address), address) };
      if (kind === 'endless') clearTimeout(timer);
      return { value: await read(answer, address) };
    } catch (cause) {
      if (cause instanceof HeadwaterError) return { unsent: false, error: cause };
      return silenceError(cause, address);
    } finally {
      clearTimeout(timer);
    }
  }

  #dispatcher(address: URL): Promise<Dispatcher> {
    const known = this.#dispatchers.get(address.origin);
    if (known !== undefined) return known;
    const made = openDispatcher(address, this.transport);
    this.#dispatchers.set(address.origin, made);
    return made;
  }
}

/** Another information server may be able to, or the same one later. */
function passesOn({ code, details }: HeadwaterError): boolean {
  if (code === 'HW_CONNECT' || code === 'HW_SILENT' || code === 'HW_TOO_MANY') return true;
  return typeof details['status'] === 'number' && [429, 502, 503, 504].includes(details['status']);
}

/** Milliseconds: what servers ask for, the shortest of them; else longer with every round. */
function pauseAfter(failures: readonly HeadwaterError[], round: number): number {
  const asked = failures.flatMap(({ details }) =>
    typeof details['retryAfter'] === 'number' ? [details['retryAfter'] * 1000] : [],
  );
  const own = Math.min(MOST_ROUND, FIRST_ROUND * 2 ** round) * (0.75 + Math.random() / 2);
  return Math.max(own, asked.length === failures.length ? Math.min(...asked) : 0);
}

function none(failures: readonly HeadwaterError[]): HeadwaterError {
  const [first] = failures;
  if (first === undefined) return new HeadwaterError('HW_INTERNAL', 'no address was asked');
  if (failures.length === 1) return first;
  const message = `no information server answers: ${failures.map(({ message }) => message.replace(/\.$/, '')).join('; ')}`;
  return new HeadwaterError(first.code, message, { cause: first, details: first.details });
}

function interrupted(signal: AbortSignal | undefined): HeadwaterError {
  return new HeadwaterError('HW_INTERRUPTED', 'stopped', { cause: signal?.reason });
}
