import { BrokenAnswer } from './broken-answer.ts';
import { ChunkedFraming } from './chunked-framing.ts';
import type { Request } from './connection.ts';
import { CloseFraming, type Framing, LengthFraming } from './framing.ts';
import type { AnswerHead } from './head-reader.ts';

/**
 * How the body after a head is delimited: RFC 9112 section 6.3.
 *
 * @throws BrokenAnswer for lengths that contradict each other and codings nobody asked for
 */
export function framingOf(method: Request['method'], head: AnswerHead): Framing {
  if (method === 'HEAD' || head.status === 204 || head.status === 304) return new LengthFraming(0);
  const coding = head.headers.get('transfer-encoding');
  if (coding !== undefined) {
    if (coding.toLowerCase() === 'chunked') return new ChunkedFraming();
    throw new BrokenAnswer(`its transfer coding ${JSON.stringify(coding)} is not known here`);
  }
  const length = head.headers.get('content-length');
  return length === undefined ? new CloseFraming() : new LengthFraming(oneLength(length));
}

/** Whether the connection can carry another request after this answer: RFC 9112 section 9.3. */
export function keepsAlive(head: AnswerHead, framing: Framing): boolean {
  if (framing instanceof CloseFraming) return false;
  // Both at once is an attempt to confuse, or a server that is (section 6.3, item 3); nor did HTTP/1.0 have chunks.
  if (head.headers.has('transfer-encoding') && (head.headers.has('content-length') || head.minor === 0)) {
    return false;
  }
  const options = (head.headers.get('connection') ?? '').toLowerCase().split(/[ \t]*,[ \t]*/);
  if (options.includes('close')) return false;
  return head.minor > 0 || options.includes('keep-alive');
}

/** A length that is repeated counts once, as RFC 9110 section 8.6 allows. */
function oneLength(value: string): number {
  const values = new Set(value.split(/[ \t]*,[ \t]*/));
  const [first] = values;
  const length = first !== undefined && /^\d+$/.test(first) ? Number(first) : NaN;
  if (values.size !== 1 || !Number.isSafeInteger(length)) {
    throw new BrokenAnswer(`its Content-Length is ${JSON.stringify(value)}`);
  }
  return length;
}
