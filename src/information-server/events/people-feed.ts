import type { FastifyRequest } from 'fastify';
import { z } from 'zod';

import { ErrorAnswer } from '../../core/api/common.ts';
import { FEED_EVENTS, FleetEvent } from '../../core/api/events.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { newestPosition, readOutbox } from '../../events/outbox.ts';
import { STREAM_IDLE } from '../../events/stream-lines.ts';
import { callerOf, type Caller } from '../authentication.ts';
import type { App, Context } from '../context.ts';
import { eventTailOf } from './event-tail-of.ts';
import { sendText } from './send-text.ts';
import { kindsFor, visibleEvents, type FeedKind } from './visible-events.ts';

/** Most events of one answer that is no stream. */
const MOST_LISTED = 1_000;
/** Streams of one account: tabs and programs; more are refused, since each keeps a connection. */
const MOST_STREAMS = 20;
/** Milliseconds after which a browser asks again when a stream has ended. */
const BROWSER_RETRY = 1_000;

const Kinds = z
  .string()
  .max(1_000)
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(FEED_EVENTS)))
  .optional()
  .describe(`Only these, with commas: ${FEED_EVENTS.join(', ')}.`);
const FeedQuery = z.strictObject({
  after: z.coerce.number().int().min(0).optional().describe('Position after which events are wanted.'),
  follow: z.enum(['0', '1']).default('1').describe('0: a list of what there is, no stream.'),
  kinds: Kinds,
  limit: z.coerce.number().int().min(1).max(MOST_LISTED).default(100).describe('Events in a list.'),
});
const EventList = z.object({
  items: z.array(FleetEvent),
  /** `after` of the next page; null: that is all there is now. */
  next: z.int().nullable(),
});

/**
 * `GET events`: what happens in the fleet, for people. A stream of server-sent events (HTML Living Standard, 9.2), resumed
 * by `Last-Event-ID` or `after`, without either from now on; or, with `follow=0`, a list: after a position, or the newest.
 */
export function peopleFeed(app: App, context: Context): void {
  const streams = new Map<string, number>();
  app.get(
    '/v1/events',
    {
      schema: {
        tags: ['events'],
        summary: 'What happens in the fleet: a stream of server-sent events, or with follow=0 a list',
        querystring: FeedQuery,
        response: {
          200: EventList,
          400: ErrorAnswer,
          401: ErrorAnswer,
          403: ErrorAnswer,
          429: ErrorAnswer,
          503: ErrorAnswer,
        },
      },
    },
    async (request, reply) => {
      const caller = await callerOf(request, context);
      const { after, follow, kinds: wanted, limit } = request.query;
      const kinds = kindsFor(caller).filter((kind) => wanted?.includes(kind) ?? true);
      if (follow === '0') return list(context, caller, { after, kinds, limit });
      const count = streams.get(caller.id) ?? 0;
      if (count >= MOST_STREAMS) {
        const said = `${caller.email} follows events ${count} times already`;
        throw new HeadwaterError('HW_TOO_MANY', said, { details: { retryAfter: 5 } });
      }
      const start = positionAsked(request, after) ?? (await newestPosition(context.database));
      const ending = new AbortController();
      streams.set(caller.id, (streams.get(caller.id) ?? 0) + 1);
      reply.raw.once('close', () => {
        ending.abort();
        const left = (streams.get(caller.id) ?? 1) - 1;
        if (left > 0) streams.set(caller.id, left);
        else streams.delete(caller.id);
      });
      void reply
        .type('text/event-stream; charset=utf-8')
        .header('cache-control', 'no-store')
        .header('x-accel-buffering', 'no');
      const texts = sent(context, { request, kinds, start, signal: ending.signal });
      return sendText(reply, texts);
    },
  );
}

/** A browser that reconnects says where it was by a header. */
function positionAsked(request: FastifyRequest, after: number | undefined): number | undefined {
  const header = request.headers['last-event-id'];
  if (header === undefined) return after;
  const position = Number(header);
  if (Number.isSafeInteger(position) && position >= 0) return position;
  throw new HeadwaterError('HW_USAGE', 'Last-Event-ID: not a position of an event', {
    details: { field: 'last-event-id', where: 'headers' },
  });
}

interface Sending {
  readonly request: FastifyRequest;
  readonly kinds: readonly FeedKind[];
  readonly start: number;
  readonly signal: AbortSignal;
}

async function* sent(context: Context, { request, kinds, start, signal }: Sending): AsyncGenerator<string> {
  yield `retry: ${BROWSER_RETRY}\n: from ${start}\n\n`;
  let caller = await callerOf(request, context);
  const handfuls = eventTailOf(context).follow({ kinds }, { after: start, idle: STREAM_IDLE, signal });
  for await (const { events } of handfuls) {
    // Every time: who has logged out is told nothing more. It is a question to the database once a second at most.
    const still = await stillCaller(request, context, caller);
    if (still === undefined) return;
    caller = still;
    const visible = await visibleEvents(context, caller, events);
    yield visible.length === 0 ? ':\n\n' : visible.map(textOf).join('');
  }
}

/** Undefined: no longer logged in, or the role is another. While the database is away nobody is sent away. */
async function stillCaller(
  request: FastifyRequest,
  context: Context,
  before: Caller,
): Promise<Caller | undefined> {
  try {
    const caller = await callerOf(request, context);
    return caller.role === before.role ? caller : undefined;
  } catch (error) {
    const isAway = error instanceof HeadwaterError && error.remedy !== 'wait';
    return isAway ? undefined : before;
  }
}

function textOf(event: FleetEvent): string {
  return `id: ${event.position}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`;
}

async function list(
  context: Context,
  caller: Caller,
  { after, kinds, limit }: { after: number | undefined; kinds: readonly FeedKind[]; limit: number },
): Promise<z.infer<typeof EventList>> {
  const { database } = context;
  if (kinds.length === 0) return { items: [], next: null };
  const end = await newestPosition(database);
  const items: FleetEvent[] = [];
  let position = after ?? (await beforeNewest(context, kinds, limit));
  while (position < end && items.length < limit) {
    const most = limit - items.length;
    const read = await readOutbox(database, { kinds }, { after: position, end, most });
    position = read.upTo;
    items.push(...(await visibleEvents(context, caller, read.events)));
  }
  return { items, next: position < end ? position : null };
}

/** The position before the newest few events of these kinds. */
async function beforeNewest(
  { database: { queries } }: Context,
  kinds: readonly FeedKind[],
  limit: number,
): Promise<number> {
  const rows = await queries
    .selectFrom('events')
    .select('position')
    .where('kind', 'in', kinds)
    .orderBy('position', 'desc')
    .limit(limit)
    .execute();
  return (rows.at(-1)?.position ?? 1) - 1;
}
