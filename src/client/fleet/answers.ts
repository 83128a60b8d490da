import { ERRORS, HeadwaterError, type ErrorCode } from '../../core/errors.ts';
import { connectError } from '../../transport/connect-errors.ts';

/** Longest answer that is read, bytes: a manifest of 1,000,000 chunks. */
const MOST_ANSWER = 80_000_000;

/** An answer of an information server, or of what stands in front of it. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** The text of an answer, capped by what arrives. */
export async function readAnswer({ body }: RawAnswer, address: URL): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body) {
    length += piece.length;
    if (length > MOST_ANSWER) {
      throw new HeadwaterError('HW_PROTOCOL', `${address.host} answers with more than ${MOST_ANSWER} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces, length).toString('utf8');
}

/** The value of an answer that went well. */
export function valueOf(text: string, address: URL): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HeadwaterError(
      'HW_PROTOCOL',
      `${address.origin} does not answer in JSON: is it a Headwater information server?`,
      { cause, details: { url: address.origin } },
    );
  }
}

/** What an answer that went other than well says, under the code that it names. */
export function answeredError({ status, headers }: RawAnswer, text: string, address: URL): HeadwaterError {
  const told = errorIn(text);
  const details = { ...told?.details, url: address.origin, status, ...retryAfter(headers) };
  if (told !== undefined) {
    return new HeadwaterError(told.code, told.message, { details });
  }
  if (status >= 300 && status < 400) {
    const to = typeof headers['location'] === 'string' ? `; it redirects to ${headers['location']}` : '';
    return new HeadwaterError('HW_REDIRECT', `${address.origin} is not the fleet's address${to}`, {
      details,
    });
  }
  if (status === 404 || status === 405) {
    const message = `${address.origin} answers ${status}: is it a Headwater information server?`;
    return new HeadwaterError('HW_NOT_FOUND', message, { details });
  }
  if (status === 429 || status >= 500) {
    return new HeadwaterError('HW_UNAVAILABLE', `${address.origin} answers ${status}`, { details });
  }
  return new HeadwaterError('HW_NOT_ALLOWED', `${address.origin} answers ${status}`, { details });
}

/** `{code, message, details}`, as every error of an information server is. */
function errorIn(
  text: string,
): { code: ErrorCode; message: string; details: Readonly<Record<string, unknown>> } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { code, message, details } = value as { code?: unknown; message?: unknown; details?: unknown };
  if (typeof code !== 'string' || !Object.hasOwn(ERRORS, code) || typeof message !== 'string')
    return undefined;
  const facts = typeof details === 'object' && details !== null ? details : {};
  return { code: code as ErrorCode, message, details: facts as Record<string, unknown> };
}

/** Seconds of `Retry-After`, which can also be a date (RFC 9110, 10.2.3). */
function retryAfter(headers: RawAnswer['headers']): { retryAfter?: number } {
  const text = headers['retry-after'];
  if (typeof text !== 'string') return {};
  if (/^\d{1,9}$/.test(text)) return { retryAfter: Number(text) };
  const at = Date.parse(text);
  return Number.isNaN(at) ? {} : { retryAfter: Math.max(0, (at - Date.now()) / 1000) };
}

/** Nothing of the request has reached the server. */
const UNSENT = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Why there was no answer, and whether the server can have done what was asked all the same. */
export function silenceError(cause: unknown, address: URL): { error: HeadwaterError; unsent: boolean } {
  const known = cause instanceof Error ? cause : new Error(String(cause));
  const code = 'code' in known && typeof known.code === 'string' ? known.code : known.name;
  const unsent = UNSENT.has(code);
  if (code === 'TimeoutError' || /^UND_ERR_.*TIMEOUT$/.test(code)) {
    const message = `${address.host} does not answer`;
    return {
      unsent,
      error: new HeadwaterError('HW_SILENT', message, { cause, details: { url: address.origin } }),
    };
  }
  if (code.startsWith('UND_ERR_')) {
    const message = `${address.host} broke the connection off (${known.message})`;
    return {
      unsent,
      error: new HeadwaterError('HW_CONNECT', message, { cause, details: { url: address.origin } }),
    };
  }
  const error = connectError(known, { url: address.origin, host: address.host, begun: false });
  return { unsent: unsent || error.code === 'HW_TLS', error };
}
