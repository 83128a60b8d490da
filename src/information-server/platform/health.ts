import { z } from 'zod';

import { NoQuery } from '../../core/api/common.ts';
import type { App, Context } from '../context.ts';
import { VERSION } from './version.ts';

/** Milliseconds within which the database must answer for this server to be ready. */
const READY_PATIENCE = 2_000;

const Readiness = z.object({
  /** Whether requests can be answered. */
  ready: z.boolean(),
  /** Whether this server leads. */
  leader: z.boolean(),
  database: z.boolean(),
  /** True where there is no broker. */
  broker: z.boolean(),
  leaderUrl: z.string().nullable().describe('Address of who leads, as far as known.'),
  informationServers: z.array(z.string()).describe('Addresses of those that are there.'),
});

const Fleet = z.object({
  id: z.string().describe('Id of the fleet: `iss` of its grants.'),
  version: z.string().describe('Version of the program that answers.'),
  informationServers: z.array(z.string()).describe('Addresses of those that are there.'),
});

/** `healthz` (the process answers), `readyz` (it can do its work), `metrics`, and which fleet this is. */
export function healthRoutes(app: App, context: Context): void {
  const tags = ['platform'];
  app.get(
    '/healthz',
    {
      schema: {
        tags,
        summary: 'Whether the process answers',
        querystring: NoQuery,
        response: { 200: z.object({ ok: z.literal(true) }) },
      },
    },
    () => ({
      ok: true as const,
    }),
  );

  app.get(
    '/readyz',
    {
      schema: {
        tags,
        summary: 'Whether requests can be answered',
        querystring: NoQuery,
        response: { 200: Readiness, 503: Readiness },
      },
    },
    async (_request, reply) => {
      const database = await answers(context);
      const ready = database && !context.signal.aborted;
      return reply.status(ready ? 200 : 503).send({
        ready,
        leader: context.isLeader(),
        database,
        broker: context.brokerIsUp(),
        leaderUrl: context.leaderUrl() ?? null,
        informationServers: [...context.informationServers()],
      });
    },
  );

  app.get(
    '/v1/fleet',
    {
      schema: {
        tags,
        summary: 'Which fleet this is, and where its information servers are',
        querystring: NoQuery,
        response: { 200: Fleet },
      },
    },
    () => ({ id: context.fleet, version: VERSION, informationServers: [...context.informationServers()] }),
  );

  app.get(
    '/metrics',
    {
      schema: {
        tags,
        summary: 'Figures, as Prometheus reads them',
        querystring: NoQuery,
        response: { 200: z.string() },
      },
    },
    async (_request, reply) =>
      reply
        .type('text/plain; version=0.0.4; charset=utf-8')
        .serializer(String)
        .send(await context.metrics.text()),
  );
}

async function answers({ database }: Context): Promise<boolean> {
  const asked = database.queries
    .selectFrom('fleet')
    .select('key')
    .limit(1)
    .execute()
    .then(
      () => true,
      () => false,
    );
  const { promise, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, READY_PATIENCE, false);
  try {
    return await Promise.race([asked, promise]);
  } finally {
    clearTimeout(timer);
  }
}
