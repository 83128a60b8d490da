import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';

import type { Database } from '../database/database.ts';
import type { LeaderTask } from './leadership/leader-task.ts';
import type { Metrics } from './platform/metrics.ts';
import type { InformationServerSettings } from './settings.ts';

/** Fastify with routes typed by their schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What every route may use. Made once, when the server starts. */
export interface Context {
  readonly settings: InformationServerSettings;
  readonly database: Database;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Id of this fleet: `iss` of its grants. */
  readonly fleet: string;
  /** Stops what runs for longer than a request: it is aborted when the server closes. */
  readonly signal: AbortSignal;
  /** JSON lines. Tokens and passwords never go here. */
  readonly log: FastifyBaseLogger;
  readonly metrics: Metrics;
  /** Whether this server leads, as surely as it can know. */
  readonly isLeader: () => boolean;
  /** Address of who leads, as far as known. */
  readonly leaderUrl: () => string | undefined;
  /** Addresses of the information servers that are there, this one first. */
  readonly informationServers: () => readonly string[];
  /** What `readyz` says of the broker; the events' room puts its own in. True: it can be used, or there is none. */
  brokerIsUp: () => boolean;
}

/** A subject's routes, added to the app. */
export type Routes = (app: App, context: Context) => void | Promise<void>;

/** A subject's tasks for the leader. */
export type LeaderTasks = (context: Context) => readonly LeaderTask[];
