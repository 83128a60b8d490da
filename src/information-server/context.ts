import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';

import type { Database } from '../database/database.ts';
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
}

/** A subject's routes, added to the app. */
export type Routes = (app: App, context: Context) => void | Promise<void>;
