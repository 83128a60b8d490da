import { Agent, request, type Dispatcher } from 'undici';

import type { DeadLetter } from '../core/api/events.ts';
import { ERRORS, HeadwaterError, type ErrorCode } from '../core/errors.ts';
import { STREAM_LOST, streamLines, type StreamedEvent, type StreamLine } from './stream-lines.ts';

/** Milliseconds for an information server to begin its answer. */
const ANSWER_TIMEOUT = 10_000;
/** Longest error answer that is read, bytes. */
const MOST_ERROR = 16_384;
/** Characters told of why an event was given up. */
const MOST_WHY = 1_000;

/** How a file server asks information servers. */
export interface InformationServers {
  /** Addresses, the preferred one first; asked for again at each attempt. */
  readonly addresses: () => readonly string[];
  /** The file server's id. */
  readonly id: string;
  /** Its token now. */
  readonly token: () => string;
  /** Connections; undefined: its own, which it closes. */
  readonly dispatcher?: Dispatcher | undefined;
}

interface StreamRequest {
  readonly after: number;
  /** False: it ends with the newest event there is. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/**
 * The lines of one stream of one information server.
 *
 * @throws HeadwaterError `HW_CONNECT`, `HW_SILENT`, `HW_PROTOCOL`, and what the information server answers
 */
export async function* openStream(
  { id, token, dispatcher }: InformationServers,
  address: string,
  { after, follow, signal }: StreamRequest,
): AsyncGenerator<StreamLine> {
  const url = new URL(`v1/servers/${id}/events`, address.endsWith('/') ? address : `${address}/`);
  url.searchParams.set('after', String(after));
  url.searchParams.set('follow', follow ? '1' : '0');
  const answer = await ask(url, {
    method: 'GET',
    headers: { authorization: `Bearer ${token()}` },
    headersTimeout: ANSWER_TIMEOUT,
    // Watched here: undici's would go on while the work of an event takes its time.
    bodyTimeout: 0,
    signal,
    ...(dispatcher !== undefined && { dispatcher }),
  });
  if (answer.statusCode !== 200) throw await refusal(answer, address);
  yield* streamLines(alive(answer.body, address));
}

/** Tells that an event was given up, for the operator to see. Where that fails it is in this server's log all the same. */
export async function tellGivenUp(
  { id, token, dispatcher }: InformationServers,
  address: string,
  given: { readonly event: StreamedEvent; readonly cause: unknown; readonly signal: AbortSignal },
): Promise<void> {
  const { event, cause, signal } = given;
  const why = (cause instanceof Error ? cause.message : String(cause)).slice(0, MOST_WHY);
  const letter: DeadLetter = { event: event.id, kind: event.kind, position: event.position, why };
  const url = new URL(`v1/servers/${id}/dead-letters`, address.endsWith('/') ? address : `${address}/`);
  try {
    const answer = await ask(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token()}`, 'content-type': 'application/json' },
      body: JSON.stringify(letter),
      headersTimeout: ANSWER_TIMEOUT,
      signal,
      ...(dispatcher !== undefined && { dispatcher }),
    });
    await answer.body.dump();
  } catch {
    // See above.
  }
}

/** Runs something with connections of its own, unless it was given some, and closes them at the end. */
export async function withConnections(
  servers: InformationServers,
  run: (servers: InformationServers) => Promise<void>,
): Promise<void> {
  if (servers.dispatcher !== undefined) return run(servers);
  const dispatcher = new Agent({ allowH2: false });
  try {
    await run({ ...servers, dispatcher });
  } finally {
    await dispatcher.destroy();
  }
}

type Answered = Awaited<ReturnType<typeof request>>;

async function ask(url: URL, options: Parameters<typeof request>[1]): Promise<Answered> {
  try {
    return await request(url, options);
  } catch (cause) {
    const said = `the information server ${url.origin} cannot be reached: ${(cause as Error).message}`;
    throw new HeadwaterError('HW_CONNECT', said, { cause, details: { url: url.origin } });
  }
}

async function refusal({ statusCode, body }: Answered, address: string): Promise<HeadwaterError> {
  let told: { code?: unknown; message?: unknown } = {};
  try {
    let text = '';
    for await (const piece of body) {
      text += String(piece);
      if (text.length > MOST_ERROR) break;
    }
    told = JSON.parse(text) as typeof told;
  } catch {
    // Not ours: a proxy's page.
  }
  const isOurs = typeof told.code === 'string' && told.code in ERRORS;
  const code = isOurs ? (told.code as ErrorCode) : statusCode >= 500 ? 'HW_UNAVAILABLE' : 'HW_PROTOCOL';
  const said = typeof told.message === 'string' ? told.message : `it answers ${statusCode}`;
  const details = { url: address, status: statusCode };
  return new HeadwaterError(code, `the information server ${address}: ${said}`, { details });
}

/** The pieces of a body that says something now and then. */
async function* alive(body: AsyncIterable<Uint8Array>, address: string): AsyncGenerator<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await within(pieces.next(), address);
      if (next.done === true) return;
      yield next.value;
    }
  } catch (cause) {
    if (cause instanceof HeadwaterError) throw cause;
    const said = `the stream of events of ${address} broke off: ${(cause as Error).message}`;
    throw new HeadwaterError('HW_CONNECT', said, { cause, details: { url: address } });
  } finally {
    void pieces.return?.();
  }
}

async function within<T>(promise: Promise<T>, address: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const said = `the stream of events of ${address} is silent`;
    reject(new HeadwaterError('HW_SILENT', said, { details: { url: address } }));
  }, STREAM_LOST);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
