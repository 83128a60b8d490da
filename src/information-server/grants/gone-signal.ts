import type { FastifyReply } from 'fastify';

/** Fires when whoever waits for this answer has gone. */
export function goneSignal({ raw }: Pick<FastifyReply, 'raw'>): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => controller.abort());
  return controller.signal;
}
