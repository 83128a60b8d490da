import { formatRange, parseContentRange } from '../../core/ranges.ts';
import type { Connection, ResponseHead } from '../../transport/connection.ts';
import { readAll } from '../../transport/read-all.ts';
import { refuseEncoding, refuseStatus, validators } from './answer.ts';
import { statedSha256 } from './digest-fields.ts';
import { bounded } from './deadline.ts';
import { dispositionName } from './disposition.ts';
import { SourceError } from './fault.ts';
import { manifestLink } from './link.ts';
import { Refusal } from './refusal.ts';
import type { Introduction, Source } from './source.ts';

/** Redirects that are followed; as many as browsers and curl do by default is far more than a mirror needs. */
const MOST_REDIRECTS = 10;
/** A redirect's or an error's own text is read and dropped up to this size, bytes. */
const MOST_SMALL_BODY = 64 * 1024;
/** Milliseconds until a source that does not answer its probe counts as silent. */
const PROBE_TIMEOUT = 15_000;

/** Thrown out of a receiver to end an answer whose body nobody wants. */
class EnoughRead extends Error {}

/**
 * Asks a source for one byte, the first that it holds, follows redirects, and learns what it has.
 *
 * @param at where that byte is; 0 unless the source holds a part
 * @throws SourceError
 */
export async function probe(source: Source, signal: AbortSignal, at = 0): Promise<Introduction> {
  const deadline = performance.now() + PROBE_TIMEOUT;
  let url = source.url;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const connection = source.spareConnection(url);
    try {
      const most = Math.max(1, deadline - performance.now());
      const head = await bounded(connection, { signal, most, shown: source.shown }, () =>
        askOneByte(connection, source, url, at),
      );
      const location = redirectTarget(head, url, source);
      if (location === undefined) {
        const introduction = introduce(head, url, source, at);
        source.settle(url, introduction, connection);
        return introduction;
      }
      connection.close();
      url = location;
    } catch (error) {
      connection.close();
      throw error;
    }
  }
  throw new SourceError({ kind: 'redirect' }, `${source.shown} redirects more than ${MOST_REDIRECTS} times`);
}

async function askOneByte(
  connection: Connection,
  source: Source,
  url: URL,
  at: number,
): Promise<ResponseHead> {
  let seen: ResponseHead | undefined;
  let refusal: Refusal | undefined;
  const headers = {
    ...source.headersFor(url),
    range: formatRange({ start: at, end: at + 1 }),
    'want-repr-digest': 'sha-256=9',
  };
  const scratch = new Uint8Array(4096);
  let length = 0;
  try {
    await connection.send(
      { method: 'GET', url, headers },
      {
        head(head) {
          seen = head;
          refusal = Refusal.of(head, source.shown);
          // A whole file is on its way: nothing of it is wanted now.
          if (head.status === 200 && head.headers.get('content-length') !== '0') throw new EnoughRead();
        },
        buffer: () => refusal?.buffer() ?? scratch,
        received(bytes) {
          refusal?.received(bytes);
          length += bytes;
          if (length > MOST_SMALL_BODY) throw new EnoughRead();
        },
      },
    );
  } catch (error) {
    if (!(error instanceof EnoughRead) && refusal === undefined) throw error;
  }
  if (refusal !== undefined) throw refusal.error;
  if (seen === undefined) throw new SourceError({ kind: 'protocol' }, `${source.shown} answers nothing`);
  return seen;
}

function redirectTarget(head: ResponseHead, url: URL, source: Source): URL | undefined {
  const { status, headers } = head;
  if (status < 300 || status > 399) return undefined;
  const location = headers.get('location');
  if (location === undefined || !URL.canParse(location, url.href)) {
    throw new SourceError(
      { kind: 'redirect' },
      `${source.shown} redirects (${status}) without saying where to`,
    );
  }
  const target = new URL(location, url);
  target.hash = '';
  // A server that names itself anew does not repeat who we are; another one is not to know.
  if (target.origin === source.url.origin && target.username === '' && target.password === '') {
    target.username = source.url.username;
    target.password = source.url.password;
  }
  if (target.protocol !== 'http:' && target.protocol !== 'https:') {
    throw new SourceError(
      { kind: 'redirect' },
      `${source.shown} redirects to ${target.protocol}//, which is not HTTP`,
    );
  }
  if (target.href === url.href) {
    throw new SourceError({ kind: 'redirect' }, `${source.shown} redirects to itself`);
  }
  return target;
}

function introduce(head: ResponseHead, url: URL, source: Source, at: number): Introduction {
  const { status, headers } = head;
  const range = headers.get('content-range');
  const content = range === undefined ? undefined : parseContentRange(range);
  // An empty file has no first byte.
  const empty = status === 416 && content?.range === undefined && content?.size === 0;
  if (!empty) refuseStatus(head, source.shown);
  refuseEncoding(head, source.shown);
  const ranges = empty || status === 206;
  const size = ranges ? content?.size : statedLength(headers);
  if (status === 206 && (content?.range?.start !== at || content.range.end !== at + 1)) {
    throw new SourceError(
      { kind: 'wrong-range' },
      `${source.shown} answers one byte with Content-Range "${range ?? ''}"`,
    );
  }
  if (ranges && size === undefined) {
    throw new SourceError({ kind: 'wrong-range' }, `${source.shown} does not say how long the file is`);
  }
  return {
    ...validators(headers),
    size,
    ranges: ranges || size === 0,
    sha256: statedSha256(headers),
    manifest: manifestLink(headers.get('link'), url),
    name: dispositionName(headers.get('content-disposition')),
  };
}

function statedLength(headers: ResponseHead['headers']): number | undefined {
  const length = headers.get('content-length');
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

/**
 * Reads a text that a source offers, such as its manifest, over a connection of its own or one that is free.
 *
 * @param bounds milliseconds for each answer, and without a byte of it
 * @throws SourceError
 */
export async function readText(
  source: Source,
  start: URL,
  mostBytes: number,
  {
    signal,
    most,
    silence,
  }: { readonly signal: AbortSignal; readonly most: number; readonly silence: number },
): Promise<string> {
  let url = start;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const free = source.freeConnection(url);
    const connection = free ?? source.spareConnection(url);
    try {
      const request = { method: 'GET' as const, url, headers: source.headersFor(url) };
      const bounds = { signal, most, silence, shown: source.shown };
      const { head, body } = await bounded(connection, bounds, (watched) =>
        readAll(watched, request, mostBytes),
      );
      const location = redirectTarget(head, url, source);
      if (location === undefined) {
        refuseStatus(head, source.shown);
        return new TextDecoder().decode(body);
      }
      url = location;
    } finally {
      if (free === undefined) connection.close();
    }
  }
  throw new SourceError({ kind: 'redirect' }, `${source.shown} redirects more than ${MOST_REDIRECTS} times`);
}
