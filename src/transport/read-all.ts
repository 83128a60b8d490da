import { HeadwaterError } from '../core/errors.ts';
import type { Connection, Request, ResponseHead } from './connection.ts';
import { shownUrl } from './shown-url.ts';

/** An answer that was read whole. */
export interface WholeAnswer {
  readonly head: ResponseHead;
  readonly body: Uint8Array;
}

const FIRST_PIECE = 16 * 1024;

/**
 * Reads a small answer whole: a probe, a manifest. Any status is an answer.
 *
 * @param mostBytes longest body that is taken, held against Content-Length and against what comes
 * @throws HeadwaterError as `Connection.send` does, and `HW_PROTOCOL` for a body that is longer
 */
export async function readAll(
  connection: Pick<Connection, 'send'>,
  request: Request,
  mostBytes: number,
): Promise<WholeAnswer> {
  let head: ResponseHead | undefined;
  let body = new Uint8Array(0);
  let length = 0;

  const tooLong = (): HeadwaterError => {
    const url = shownUrl(request.url);
    return new HeadwaterError(
      'HW_PROTOCOL',
      `${url} answers with more than ${mostBytes} bytes, the most that is taken here.`,
      { details: { url } },
    );
  };

  await connection.send(request, {
    head(arrived) {
      head = arrived;
      const promised = Number(arrived.headers.get('content-length') ?? FIRST_PIECE);
      if (request.method === 'HEAD' || !Number.isSafeInteger(promised)) return;
      if (arrived.headers.has('content-length') && promised > mostBytes) throw tooLong();
      body = new Uint8Array(Math.min(promised, mostBytes));
    },
    buffer() {
      if (length === body.length) {
        // One byte more than allowed shows that there is more.
        const larger = new Uint8Array(Math.min(Math.max(FIRST_PIECE, body.length * 2), mostBytes + 1));
        larger.set(body);
        body = larger;
      }
      return body.subarray(length);
    },
    received(received) {
      length += received;
      if (length > mostBytes) throw tooLong();
    },
  });
  if (head === undefined) throw new HeadwaterError('HW_INTERNAL', 'An answer ended without a head.');
  return { head, body: body.subarray(0, length) };
}
