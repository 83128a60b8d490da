import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The program of a RabbitMQ that is installed here; the one on the path refuses some users. */
const PROGRAM =
  process.env['HEADWATER_TEST_RABBITMQ_SERVER'] ??
  globSync('/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server')[0];
/** Milliseconds for it to start. */
const START = 60_000;

/** Why tests with a broker of their own are skipped; false where one can be started. */
export const withoutOwnBroker =
  PROGRAM === undefined &&
  'no rabbitmq-server in /usr/lib/rabbitmq; HEADWATER_TEST_RABBITMQ_SERVER names one';

/** A RabbitMQ of the test's own, with a folder of its own, that can be killed and started again. */
export class OwnBroker implements AsyncDisposable {
  readonly #folder: string;
  readonly #port: number;
  readonly #environment: NodeJS.ProcessEnv;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number, environment: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#port = port;
    this.#environment = environment;
  }

  static async start(): Promise<OwnBroker> {
    const folder = await mkdtemp(join(tmpdir(), 'headwater-broker-'));
    const [port, distributionPort] = await Promise.all([freePort(), freePort()]);
    const settings = join(folder, 'rabbitmq.conf');
    const plugins = join(folder, 'enabled_plugins');
    await writeFile(settings, `listeners.tcp.1 = 127.0.0.1:${port}\n`);
    await writeFile(plugins, '[].\n');
    const environment = {
      PATH: process.env['PATH'],
      HOME: folder,
      RABBITMQ_NODENAME: `headwater-test-${port}@localhost`,
      RABBITMQ_CONFIG_FILE: settings,
      RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
      RABBITMQ_MNESIA_BASE: join(folder, 'data'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_DIST_PORT: String(distributionPort),
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
    };
    const broker = new OwnBroker(folder, port, environment);
    await broker.start();
    return broker;
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.#port}`;
  }

  /** Starts it, again or for the first time; resolves once it takes connections. */
  async start(): Promise<void> {
    // A group of its own: the program is a script that starts the broker.
    this.#process = spawn(PROGRAM ?? '', {
      // What it leaves of a crash, it leaves where it was started.
      cwd: this.#folder,
      env: this.#environment,
      detached: true,
      stdio: 'ignore',
    });
    const late = AbortSignal.timeout(START);
    while (!(await takesConnections(this.#port))) {
      late.throwIfAborted();
      if (this.#process.exitCode !== null) throw new Error('RabbitMQ ended while it was started');
      await sleep(100);
    }
  }

  /** Ends it: as a power failure does, or as it is meant to be. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    process.kill(-child.pid, signal);
    await ended;
    while (await takesConnections(this.#port)) await sleep(50);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
