import type { Database } from '../database/database.ts';
import { accountsRoutes } from './accounts/routes.ts';
import { accountsTasks } from './accounts/tasks.ts';
import { makeFirstAdmin } from './accounts/first-admin.ts';
import { buildApp } from './app.ts';
import type { App, Context, LeaderTasks, Routes } from './context.ts';
import { eventsRoutes } from './events/routes.ts';
import { eventsTasks } from './events/tasks.ts';
import { filesRoutes } from './files/routes.ts';
import { filesTasks } from './files/tasks.ts';
import { grantsRoutes } from './grants/routes.ts';
import { grantsTasks } from './grants/tasks.ts';
import { keysRoutes } from './keys/routes.ts';
import { keysTasks } from './keys/tasks.ts';
import { Leadership } from './leadership/leadership.ts';
import { forgetMembers } from './leadership/members.ts';
import { normaliseInformationServerOptions, type InformationServerOptions } from './options.ts';
import { fleetId, settleJoinToken } from './platform/fleet-facts.ts';
import { healthRoutes } from './platform/health.ts';
import { listen } from './platform/http-server.ts';
import { Metrics } from './platform/metrics.ts';
import { OpenConnections } from './platform/open-connections.ts';
import { openPatiently } from './platform/open-patiently.ts';
import { repairTasks } from './repair/repair.ts';
import { repairRoutes } from './repair/routes.ts';
import { serversRoutes } from './servers/routes.ts';
import { silenceTasks } from './servers/silence.ts';
import type { InformationServerSettings, StartSettings } from './settings.ts';
import { uploadsRoutes } from './uploads/routes.ts';
import { uploadsTasks } from './uploads/tasks.ts';

/** Every subject's routes. */
const ROUTES: readonly Routes[] = [
  healthRoutes,
  accountsRoutes,
  keysRoutes,
  filesRoutes,
  grantsRoutes,
  serversRoutes,
  uploadsRoutes,
  repairRoutes,
  eventsRoutes,
];

/** What the leader does in the background. */
const LEADER_TASKS: readonly LeaderTasks[] = [
  ({ database }) => [forgetMembers(database)],
  accountsTasks,
  keysTasks,
  filesTasks,
  grantsTasks,
  silenceTasks,
  eventsTasks,
  uploadsTasks,
  repairTasks,
];

/** A running information server. */
export interface InformationServer extends AsyncDisposable {
  /** Where people and file servers reach it, without a slash at the end. */
  readonly url: string;
  /** What it listens on. */
  readonly port: number;
  readonly isLeader: boolean;
  /** Finishes what is under way for as long as the grace, then cuts it off. The second call cuts it off at once. */
  close(): Promise<void>;
}

/**
 * Starts an information server: opens its database, and answers once this resolves.
 *
 * @throws HeadwaterError `HW_USAGE`, `HW_DATABASE`, `HW_DISK`, `HW_LISTEN`
 */
export async function startInformationServer(options: InformationServerOptions): Promise<InformationServer> {
  const settings = normaliseInformationServerOptions(options);
  const database = await openPatiently(settings);
  try {
    return await start(settings, database);
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function start(start: StartSettings, database: Database): Promise<InformationServer> {
  const { log, grace } = start;
  const fleet = await fleetId(database);
  await settleJoinToken(database, start, log);
  if (start.admin !== undefined) await makeFirstAdmin(database, start.admin, Date.now());
  const stopping = new AbortController();
  let settings: InformationServerSettings | undefined;
  let leadership: Leadership | undefined;
  const context: Context = {
    get settings() {
      if (settings === undefined) throw new Error('the address is known only once the server listens');
      return settings;
    },
    database,
    now: () => Date.now(),
    fleet,
    signal: stopping.signal,
    log,
    metrics: new Metrics(),
    isLeader: () => leadership?.isLeader ?? false,
    leaderUrl: () => leadership?.leaderUrl,
    informationServers: () => leadership?.members ?? [context.settings.publicUrl],
    brokerIsUp: () => true,
  };
  settings = { ...start, publicUrl: start.publicUrl ?? '' };
  const app = await buildApp(context, start, ROUTES);
  const connections = new OpenConnections(app.server);
  try {
    const url = await listen(app, start);
    settings = { ...settings, publicUrl: start.publicUrl ?? url };
    const self = { id: start.id, url: settings.publicUrl };
    const tasks = LEADER_TASKS.flatMap((each) => each(context));
    leadership = new Leadership({ database, self, lease: start.times.lease * 1000, log }, tasks);
    await leadership.start();
  } catch (error) {
    stopping.abort();
    await leadership?.stop();
    await app.close();
    throw error;
  }
  const address = app.server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  log.info({ url: settings.publicUrl, port, fleet, database: database.kind }, 'answers');
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    if (closing !== undefined) connections.cut();
    closing ??= stop({ app, connections, database, leadership, stopping, grace });
    return closing;
  };
  return {
    url: settings.publicUrl,
    port,
    get isLeader() {
      return context.isLeader();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Running {
  readonly app: App;
  readonly connections: OpenConnections;
  readonly database: Database;
  readonly leadership: Leadership | undefined;
  readonly stopping: AbortController;
  readonly grace: number;
}

async function stop({ app, connections, database, leadership, stopping, grace }: Running): Promise<void> {
  // Streams and long polls end by this; requests that are under way are finished.
  stopping.abort();
  const { promise: late, resolve: beLate } = Promise.withResolvers<void>();
  const cut = setTimeout(() => {
    connections.cut();
    beLate();
  }, grace);
  try {
    const closed = app.close();
    connections.endIdle();
    // A task that hears of no end must not hold up the server's: what it would write is refused.
    await Promise.all([closed, Promise.race([leadership?.stop(), late])]);
  } finally {
    clearTimeout(cut);
    await database.close();
  }
}
