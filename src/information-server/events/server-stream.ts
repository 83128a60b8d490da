import { z } from 'zod';

import { ErrorAnswer, Id } from '../../core/api/common.ts';
import { DeadLetter } from '../../core/api/events.ts';
import type { FleetEvent } from '../../core/api/events.ts';
import { EVENT_STREAM_TYPE, STREAM_IDLE } from '../../events/stream-lines.ts';
import type { Handful } from '../../events/event-tail.ts';
import { newestPosition, readOutbox } from '../../events/outbox.ts';
import { appendEvents } from '../../database/append-events.ts';
import type { App, Context } from '../context.ts';
import { serverOf } from '../servers/server-token.ts';
import { eventTailOf } from './event-tail-of.ts';
import { sendText } from './send-text.ts';

/** Events read at once of a stream that ends. */
const READ_AT_ONCE = 500;

const ByServerId = z.strictObject({ id: Id });
const StreamQuery = z.strictObject({
  after: z.coerce.number().int().min(0).describe('Position after which the events are wanted.'),
  follow: z.enum(['0', '1']).default('1').describe('0: ends with the newest there is now.'),
});
const REFUSALS = { 400: ErrorAnswer, 401: ErrorAnswer, 403: ErrorAnswer, 503: ErrorAnswer };

/**
 * `GET servers/:id/events`: the events for one file server, JSON in lines, resumed by position. Lines without an event say
 * `{"position": N}`: there is no other for this server up to there. A position lower than the one asked for says that the
 * database was put back to an earlier state.
 */
export function serverStream(app: App, context: Context): void {
  const tail = eventTailOf(context);
  const open = new Map<string, AbortController>();
  app.get(
    '/v1/servers/:id/events',
    {
      schema: {
        tags: ['file servers'],
        summary: 'What a file server is told, as it happens: JSON in lines',
        params: ByServerId,
        querystring: StreamQuery,
        response: { 200: z.string(), ...REFUSALS },
      },
    },
    async (request, reply) => {
      const server = await serverOf(request, context, request.params.id);
      const { after, follow } = request.query;
      void reply
        .type(EVENT_STREAM_TYPE)
        .header('cache-control', 'no-store')
        .header('x-accel-buffering', 'no');
      if (follow === '0') {
        const reader = { id: server.id, zone: server.zone };
        return sendText(reply, lines(whatIsThere(context, reader, after)));
      }
      // Of two streams of one server the older is one that it has lost.
      open.get(server.id)?.abort();
      const ending = new AbortController();
      open.set(server.id, ending);
      reply.raw.once('close', () => {
        ending.abort();
        if (open.get(server.id) === ending) open.delete(server.id);
      });
      const handfuls = tail.follow(
        { id: server.id, zone: server.zone },
        { after, idle: STREAM_IDLE, signal: ending.signal },
      );
      return sendText(reply, lines(handfuls, after));
    },
  );

  app.post(
    '/v1/servers/:id/dead-letters',
    {
      schema: {
        tags: ['file servers'],
        summary: 'A file server gave up on an event: operators are told',
        params: ByServerId,
        body: DeadLetter,
        response: { 204: z.null(), ...REFUSALS },
      },
    },
    async (request, reply) => {
      const server = await serverOf(request, context, request.params.id);
      const data = { server: server.id, name: server.name, ...request.body };
      const event = { kind: 'event.dead-lettered', audience: 'people' as const, data };
      const { database, now } = context;
      await database.transaction((db) => appendEvents(db, database.kind, [event], now()));
      return reply.status(204).send(null);
    },
  );
}

async function* lines(handfuls: AsyncIterable<Handful>, start?: number): AsyncGenerator<string> {
  if (start !== undefined) yield `${JSON.stringify({ position: start })}\n`;
  for await (const { events, upTo } of handfuls) {
    const text = events.map(lineOf).join('');
    // The event of that position says it already.
    yield events.at(-1)?.position === upTo ? text : `${text}${JSON.stringify({ position: upTo })}\n`;
  }
}

/** An event for many is put into text once. */
const TEXTS = new WeakMap<FleetEvent, string>();

function lineOf(event: FleetEvent): string {
  const known = TEXTS.get(event);
  if (known !== undefined) return known;
  // Who else is told of it is nobody's business: with many holders it is most of the text.
  const { audience: _, ...rest } = event;
  const text = `${JSON.stringify(rest)}\n`;
  TEXTS.set(event, text);
  return text;
}

async function* whatIsThere(
  { database }: Context,
  reader: { id: string; zone: string },
  after: number,
): AsyncGenerator<Handful> {
  const end = await newestPosition(database);
  for (let position = Math.min(after, end); ;) {
    const read = await readOutbox(database, reader, { after: position, end, most: READ_AT_ONCE });
    position = read.upTo;
    yield read;
    if (position >= end) return;
  }
}
