import { setTimeout as sleep } from 'node:timers/promises';

import { Agent, request } from 'undici';

import { ErrorAnswer } from '../../core/api/common.ts';
import { ERRORS, HeadwaterError, type ErrorCode } from '../../core/errors.ts';
import { CALL_TIMEOUT, CONNECT_TIMEOUT, LEAST_BACKOFF, MOST_ANSWER_BYTES, MOST_BACKOFF } from './limits.ts';

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Path with its leading slash. */
  readonly path: string;
  readonly token?: string | undefined;
  /** Sent as JSON; a text is sent as it is. */
  readonly body?: object | string | undefined;
  readonly timeout?: number;
  /** Longest answer that is read, bytes. */
  readonly most?: number;
}

export interface InformationServersOptions {
  /** Those named on the command line: asked first, and never forgotten. */
  readonly joined: readonly string[];
  /** Those known from an earlier time. */
  readonly kept: readonly string[];
  /** One is away, or none is, or one answers again. Told once for each. */
  readonly onReach: (reached: Reached) => void;
}

export interface Reached {
  readonly how: 'lost' | 'found';
  /** Address that answers no more, or answers now. */
  readonly url: string;
  readonly why?: string;
}

/**
 * The fleet's information servers, asked one at a time: the one that answered last, and when it is away the next. Every one
 * answers everything.
 */
export class InformationServers {
  readonly #options: InformationServersOptions;
  readonly #agent = new Agent({ connect: { timeout: CONNECT_TIMEOUT } });
  readonly #over = new AbortController();
  #urls: string[] = [];
  #current = 0;
  #lost = false;

  constructor(options: InformationServersOptions) {
    this.#options = options;
    this.learn(options.kept);
  }

  /** The one that is asked now. */
  get url(): string {
    return this.#urls[this.#current] ?? '';
  }

  /** All that are known. */
  get urls(): readonly string[] {
    return this.#urls;
  }

  /** An information server told who there are. */
  learn(urls: readonly string[]): void {
    const { url } = this;
    const all = [...this.#options.joined, ...urls].map((each) => each.replace(/\/+$/, ''));
    this.#urls = [...new Set(all)];
    this.#current = Math.max(0, this.#urls.indexOf(url));
  }

  /**
   * Asks, at most once each: who is away or not able now is passed over.
   *
   * @returns the answer's JSON; undefined where there is none
   * @throws HeadwaterError `HW_CONNECT` (none answers), and what the one that answered says
   */
  async call(call: Call): Promise<unknown> {
    let last: HeadwaterError | undefined;
    for (let tries = 0; tries < this.#urls.length; tries++) {
      const { url } = this;
      try {
        const answer = await this.#ask(url, call);
        this.#found(url);
        return answer;
      } catch (error) {
        if (!(error instanceof HeadwaterError)) throw error;
        if (error.remedy !== 'wait' && error.code !== 'HW_INTERNAL') {
          this.#found(url);
          throw error;
        }
        last = error;
        if (this.#over.signal.aborted) break;
        this.#current = (this.#current + 1) % this.#urls.length;
      }
    }
    const why = last?.message ?? 'none is known';
    if (!this.#lost && !this.#over.signal.aborted) {
      this.#lost = true;
      this.#options.onReach({ how: 'lost', url: this.#urls.join(', '), why });
    }
    throw last ?? new HeadwaterError('HW_CONNECT', why);
  }

  /** Waits before the next round: longer each time, and never all servers of a fleet at once. */
  async backOff(attempt: number): Promise<void> {
    const most = Math.min(MOST_BACKOFF, LEAST_BACKOFF * 2 ** Math.min(attempt, 10));
    await sleep(most / 2 + (Math.random() * most) / 2, undefined, { signal: this.#over.signal }).catch(
      () => undefined,
    );
  }

  /** Waits for no answer any more. */
  async close(): Promise<void> {
    this.#over.abort();
    await this.#agent.destroy();
  }

  #found(url: string): void {
    if (!this.#lost) return;
    this.#lost = false;
    this.#options.onReach({ how: 'found', url });
  }

  async #ask(url: string, call: Call): Promise<unknown> {
    const { method, path, token, body, timeout = CALL_TIMEOUT, most = MOST_ANSWER_BYTES } = call;
    try {
      const answer = await request(url + path, {
        method,
        dispatcher: this.#agent,
        signal: this.#over.signal,
        headersTimeout: timeout,
        bodyTimeout: timeout,
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await textOf(answer.body, most);
      const { statusCode: status } = answer;
      if (status >= 200 && status < 300) return text === '' ? undefined : JSON.parse(text);
      throw refusal(url, status, text);
    } catch (cause) {
      if (cause instanceof HeadwaterError) throw cause;
      throw new HeadwaterError('HW_CONNECT', `the information server ${url} ${whyNot(cause)}`, { cause });
    }
  }
}

/** Capped by what arrives: what a header says can be wrong. */
async function textOf(body: AsyncIterable<Buffer>, most: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > most) throw new Error(`more than ${most} bytes were answered`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function refusal(url: string, status: number, text: string): HeadwaterError {
  const told = ErrorAnswer.safeParse(jsonOf(text));
  if (told.success && told.data.code in ERRORS) {
    return new HeadwaterError(told.data.code as ErrorCode, told.data.message, { details: told.data.details });
  }
  const code = status >= 500 || status === 429 ? 'HW_UNAVAILABLE' : 'HW_PROTOCOL';
  return new HeadwaterError(code, `${url} is no information server, or not now: it answers ${status}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function whyNot(cause: unknown): string {
  const { name, message, code } = cause as NodeJS.ErrnoException;
  if (code?.endsWith('_TIMEOUT') === true) return 'does not answer in time';
  if (name === 'AbortError') return 'was not waited for';
  if (cause instanceof SyntaxError) return 'answers what is no JSON';
  if (code === 'ECONNREFUSED') return 'cannot be reached: connection refused';
  return `cannot be reached: ${message === '' ? code : message}`;
}
