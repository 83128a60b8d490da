import { Readable } from 'node:stream';

import type { FastifyReply } from 'fastify';

/** Bytes that wait for a slow reader before no more is made. */
const MOST_BUFFERED = 64 * 1024;

/** Sends text as it comes, no faster than it is read. */
export function sendText(reply: FastifyReply, texts: AsyncIterable<string>): FastifyReply {
  return reply.send(Readable.from(texts, { objectMode: false, highWaterMark: MOST_BUFFERED }));
}
