import { z } from 'zod';

import { ErrorAnswer, Id, Sha256 } from '../../core/api/common.ts';
import {
  Announcement,
  AnnouncementAnswer,
  Heartbeat,
  HeartbeatAnswer,
  Registered,
  Registration,
  ServerCommand,
  ServerEntry,
  ServerList,
} from '../../core/api/servers.ts';
import { MANIFEST_TYPE } from '../../core/manifest.ts';
import { actorOf } from '../accounts/audit.ts';
import { bearerOf, callerOf, digestOf } from '../authentication.ts';
import type { App, Context, Routes } from '../context.ts';
import { sourceWatchOf } from '../grants/source-watch.ts';
import { keyRingOf } from '../keys/key-ring.ts';
import { admitWithin } from './admission.ts';
import { commandServer, forgetServer } from './commands.ts';
import { heartbeatsOf } from './heartbeats.ts';
import { announce } from './holdings.ts';
import { Manifests, MOST_MANIFEST_TEXT } from './manifests.ts';
import { Registrations } from './registration.ts';
import { entryOf, findServerRow, listServers, ServerListQuery } from './server-list.ts';
import { serverMetrics } from './server-metrics.ts';
import { serverOf } from './server-token.ts';

/** Bytes of announcements, and as many of manifests, that are taken in at the same time. */
const MOST_TAKEN_IN = 32 * 1024 * 1024;
/** Longest announcement, bytes: 1,000 files with long names. */
const MOST_ANNOUNCEMENT = 4 * 1024 * 1024;

const ByServerId = z.strictObject({ id: Id });
const ByIdOrName = z.strictObject({ server: z.string().min(1).max(200).describe('Id or name.') });
const Nothing = z.strictObject({}).nullish();
const REFUSALS = { 400: ErrorAnswer, 401: ErrorAnswer, 403: ErrorAnswer, 409: ErrorAnswer, 503: ErrorAnswer };

/** What file servers tell of themselves, and what operators see and want of them. */
export const serversRoutes: Routes = (app, context) => {
  serverMetrics(context);
  registration(app, context);
  heartbeats(app, context);
  void app.register(async (scope) => holdings(scope.withTypeProvider(), context));
  void app.register(async (scope) => manifests(scope.withTypeProvider(), context));
  operating(app, context);
};

function registration(app: App, context: Context): void {
  const joining = new Registrations(context);
  app.addHook('onClose', () => joining.close());
  app.post(
    '/v1/servers',
    {
      schema: {
        tags: ['file servers'],
        summary: 'A file server joins, or comes back: with the join token, or its own',
        body: Registration,
        response: { 200: Registered, ...REFUSALS },
      },
    },
    async (request) => {
      const joined = await joining.take(request.body, { token: bearerOf(request), address: request.ip });
      sourceWatchOf(context).changed();
      const { keys } = await keyRingOf(context).jwks();
      return {
        ...joined,
        fleet: context.fleet,
        heartbeat: context.settings.times.heartbeat,
        informationServers: [...context.informationServers()],
        keys: { keys: keys.map((key) => ({ ...key })) },
        events: context.settings.broker === undefined ? ('embedded' as const) : ('broker' as const),
      };
    },
  );
}

function heartbeats(app: App, context: Context): void {
  const beats = heartbeatsOf(context);
  const seen = context.metrics.counter(
    'headwater_downloads_seen_total',
    'Downloads that file servers have seen.',
  );
  app.addHook('onClose', () => beats.close());
  app.post(
    '/v1/servers/:id/heartbeat',
    {
      schema: {
        tags: ['file servers'],
        summary: 'A file server says how it is, and is told what is wanted of it',
        params: ByServerId,
        body: Heartbeat,
        response: { 200: HeartbeatAnswer, ...REFUSALS },
      },
    },
    async (request) => {
      const answer = await beats.take(request.params.id, digestOf(bearerOf(request)), request.body);
      seen.add(request.body.downloads);
      return {
        ...answer,
        informationServers: [...context.informationServers()],
        time: new Date(context.now()).toISOString(),
      };
    },
  );
}

function holdings(app: App, context: Context): void {
  admitWithin(app, MOST_TAKEN_IN, MOST_ANNOUNCEMENT);
  app.post(
    '/v1/servers/:id/holdings',
    {
      bodyLimit: MOST_ANNOUNCEMENT,
      schema: {
        tags: ['file servers'],
        summary: 'A file server says what it holds',
        params: ByServerId,
        body: Announcement,
        response: { 200: AnnouncementAnswer, ...REFUSALS },
      },
    },
    async (request) => {
      const { id } = await serverOf(request, context, request.params.id);
      const answer = await announce(context, id, request.body);
      sourceWatchOf(context).changed();
      return answer;
    },
  );
}

function manifests(app: App, context: Context): void {
  const taking = new Manifests(context);
  admitWithin(app, MOST_TAKEN_IN, MOST_MANIFEST_TEXT);
  app.addHook('onClose', () => taking.close());
  // Manifests come as text: their own reader says best what is wrong with one.
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser(
    ['application/json', MANIFEST_TYPE],
    { parseAs: 'string', bodyLimit: MOST_MANIFEST_TEXT },
    (_request, body, done) => done(null, body),
  );
  app.put(
    '/v1/servers/:id/manifests/:digest',
    {
      bodyLimit: MOST_MANIFEST_TEXT,
      schema: {
        tags: ['file servers'],
        summary: 'The manifest of a content that the server has announced',
        consumes: ['application/json', MANIFEST_TYPE],
        params: z.strictObject({ id: Id, digest: Sha256 }),
        response: { 204: z.null(), 404: ErrorAnswer, 413: ErrorAnswer, ...REFUSALS },
      },
    },
    async (request, reply) => {
      const { id, digest } = request.params;
      const server = await serverOf(request, context, id);
      await taking.take(server, digest, typeof request.body === 'string' ? request.body : '');
      return reply.status(204).send(null);
    },
  );
}

function operating(app: App, context: Context): void {
  const refusals = { ...REFUSALS, 404: ErrorAnswer };
  app.get(
    '/v1/servers',
    {
      schema: {
        tags: ['servers'],
        summary: 'File servers by name, with state, zone, capacity, load and rate',
        querystring: ServerListQuery,
        response: { 200: ServerList, ...REFUSALS },
      },
    },
    async (request) => {
      await callerOf(request, context);
      return listServers(context, request.query);
    },
  );
  app.get(
    '/v1/servers/:server',
    {
      schema: {
        tags: ['servers'],
        summary: 'One file server',
        params: ByIdOrName,
        response: { 200: ServerEntry, ...refusals },
      },
    },
    async (request) => {
      await callerOf(request, context);
      return entryOf(await findServerRow(context, request.params.server));
    },
  );
  for (const command of ServerCommand.options) {
    app.post(
      `/v1/servers/:server/${command}`,
      {
        schema: {
          tags: ['servers'],
          summary: SUMMARIES[command],
          params: ByIdOrName,
          body: Nothing,
          response: { 200: ServerEntry, ...refusals },
        },
      },
      async (request) => {
        const caller = await callerOf(request, context, 'admin');
        const { server } = request.params;
        const row = await commandServer(context, server, command, actorOf(request, caller));
        sourceWatchOf(context).changed();
        return entryOf(row);
      },
    );
  }
  app.delete(
    '/v1/servers/:server',
    {
      schema: {
        tags: ['servers'],
        summary: 'Forgets a file server that is dead or has stopped',
        params: ByIdOrName,
        response: { 204: z.null(), ...refusals },
      },
    },
    async (request, reply) => {
      const caller = await callerOf(request, context, 'admin');
      await forgetServer(context, request.params.server, actorOf(request, caller));
      sourceWatchOf(context).changed();
      return reply.status(204).send(null);
    },
  );
}

const SUMMARIES: Readonly<Record<ServerCommand, string>> = {
  pause: 'The server keeps its connections and sends nothing',
  resume: 'The server goes on',
  drain: 'The server finishes what is under way and takes nothing new',
  stop: 'The server finishes what is under way and ends',
};
