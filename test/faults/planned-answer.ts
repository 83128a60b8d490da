import { gzipSync } from 'node:zlib';

import { type Content, contentOf, slice, withFlippedBit, withOtherBytes, withSize } from './content.ts';
import type { ByteRange, Misbehaviour, SeenRequest } from './misbehaviour.ts';

/** What will be sent: a head, then a body up to a point. */
export interface PlannedAnswer {
  readonly statusLine: string;
  readonly fields: ReadonlyMap<string, string>;
  readonly body: Content;
  /** Bytes of one chunk; undefined: the body goes as it is. */
  readonly chunkSize?: number;
}

const NOTHING = contentOf(new Uint8Array(0));

/** The head and body of an answer; how they are sent, and how far, is the connection's business. */
export function planAnswer(
  request: SeenRequest,
  misbehaviour: Misbehaviour,
  content: Content,
  etag: string,
): PlannedAnswer {
  switch (misbehaviour.does) {
    case 'refuse': {
      const { retryAfter } = misbehaviour;
      const fields = retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) };
      return whole(misbehaviour.status, contentOf(Buffer.from(`status ${misbehaviour.status}\n`)), fields);
    }
    case 'redirect':
      return whole(misbehaviour.status ?? 302, NOTHING, { Location: misbehaviour.to });
    case 'send':
      return whole(
        misbehaviour.status,
        contentOf(Buffer.from(misbehaviour.body ?? '')),
        misbehaviour.headers,
      );
    case 'flip a bit':
      return rangeAnswer(request, withFlippedBit(content, misbehaviour.at), etag);
    case 'lie': {
      const { from = 0, to = Infinity } = misbehaviour;
      return rangeAnswer(request, withOtherBytes(content, from, to), etag);
    }
    case 'hold another size':
      return rangeAnswer(request, withSize(content, misbehaviour.size), etag);
    case 'change the ETag':
      return rangeAnswer(request, content, `"of request ${request.number}"`);
    case 'ignore ranges':
      return whole(200, content, { ETag: etag });
    case 'state a range':
      return restated(rangeAnswer(request, content, etag), misbehaviour.contentRange);
    case 'shift the range':
      return shifted(request, misbehaviour, content, etag);
    case 'send too much':
      return longer(rangeAnswer(request, content, etag), misbehaviour.extra);
    case 'compress':
      return compressed(rangeAnswer(request, content, etag));
    case 'chunk':
      return {
        ...withoutLength(rangeAnswer(request, content, etag), 'chunked'),
        chunkSize: misbehaviour.size,
      };
    case 'end by closing':
      return withoutLength(rangeAnswer(request, content, etag));
    case 'send a status line':
      return { ...rangeAnswer(request, content, etag), statusLine: misbehaviour.line };
    case 'answer':
    case 'reset at once':
    case 'reset on request':
    case 'close on request':
    case 'reset':
    case 'close early':
    case 'fall silent':
    case 'drip the head':
    case 'never end the head':
    case 'use bare LF':
    case 'send interim heads':
    case 'send raw':
    default:
      return rangeAnswer(request, content, etag);
  }
}

/** What an honest server answers to GET and HEAD with and without a single range: RFC 9110 section 14. */
function rangeAnswer(request: SeenRequest, content: Content, etag: string): PlannedAnswer {
  const fields = { 'Accept-Ranges': 'bytes', ETag: etag };
  const ifRange = request.headers.get('if-range');
  const asked = request.headers.get('range');
  if (asked === undefined || (ifRange !== undefined && ifRange !== etag)) return whole(200, content, fields);
  const range = rangeOf(asked, content.size);
  if (range === 'malformed') return whole(200, content, fields);
  if (range === undefined) {
    return whole(416, NOTHING, { ...fields, 'Content-Range': `bytes */${content.size}` });
  }
  return partial(range, range, content, fields);
}

function partial(
  sent: ByteRange,
  stated: ByteRange,
  content: Content,
  fields: Readonly<Record<string, string>>,
): PlannedAnswer {
  const contentRange = `bytes ${stated.from}-${stated.to - 1}/${content.size}`;
  return whole(206, slice(content, sent.from, sent.to), { ...fields, 'Content-Range': contentRange });
}

/** `malformed` for what a server must ignore, undefined for what lies outside. */
export function rangeOf(header: string, size: number): ByteRange | 'malformed' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header);
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return 'malformed';
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  return from < to ? { from, to } : undefined;
}

function whole(status: number, body: Content, fields: Readonly<Record<string, string>> = {}): PlannedAnswer {
  const all = new Map([...Object.entries(fields), ['Content-Length', String(body.size)]]);
  return { statusLine: `HTTP/1.1 ${status} Status ${status}`, fields: all, body };
}

function withField(answer: PlannedAnswer, name: string, value: string | undefined): PlannedAnswer {
  const fields = new Map(answer.fields);
  if (value === undefined) fields.delete(name);
  else fields.set(name, value);
  return { ...answer, fields };
}

function restated(answer: PlannedAnswer, contentRange: string | undefined): PlannedAnswer {
  return withField(answer, 'Content-Range', contentRange);
}

function withoutLength(answer: PlannedAnswer, coding?: string): PlannedAnswer {
  return withField(withField(answer, 'Content-Length', undefined), 'Transfer-Encoding', coding);
}

function compressed(answer: PlannedAnswer): PlannedAnswer {
  const body = contentOf(gzipSync(answer.body.read(0, answer.body.size)));
  const sized = withField(answer, 'Content-Length', String(body.size));
  return { ...withField(sized, 'Content-Encoding', 'gzip'), body };
}

function longer(answer: PlannedAnswer, extra: number): PlannedAnswer {
  return { ...answer, body: withSize(answer.body, answer.body.size + extra) };
}

function shifted(
  request: SeenRequest,
  { from, to, stated }: { readonly from: number; readonly to: number; readonly stated: boolean },
  content: Content,
  etag: string,
): PlannedAnswer {
  const { range } = request;
  if (range === undefined) return rangeAnswer(request, content, etag);
  const sent = {
    from: Math.min(Math.max(0, range.from + from), content.size - 1),
    to: Math.min(Math.max(1, range.to + to), content.size),
  };
  return partial(sent, stated ? sent : range, content, { ETag: etag });
}
