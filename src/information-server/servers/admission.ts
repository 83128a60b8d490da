import type { FastifyReply, FastifyRequest } from 'fastify';

import { HeadwaterError } from '../../core/errors.ts';
import type { App } from '../context.ts';

/** Seconds after which who was sent away may ask again. */
const AGAIN_AFTER = 1;

/**
 * Takes requests in only while the bodies of all those under way stay within a number of bytes: 2,000 servers that come
 * back at once would otherwise fill the memory with what they hold. The others are told to come again, before their bodies
 * are read.
 *
 * @param most bytes
 * @param longest bytes of a body that does not say how long it is
 */
export function admitWithin(app: App, most: number, longest: number): void {
  let taken = 0;
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    const told = Number(request.headers['content-length']);
    const length = Number.isSafeInteger(told) ? Math.min(told, longest) : longest;
    if (taken > 0 && taken + length > most) {
      const said = 'too many servers tell of what they hold at this moment: the same again a little later';
      throw new HeadwaterError('HW_UNAVAILABLE', said, { details: { retryAfter: AGAIN_AFTER } });
    }
    taken += length;
    reply.raw.once('close', () => {
      taken -= length;
    });
  });
}
