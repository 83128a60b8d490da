import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'headwater');
const EMAIL = 'chaos@example.org';
const PASSWORD = 'a password for one run';
const INFORMATION_SERVERS = 2;

/** What a command of the program came to. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of the fleet, as `up --json` tells of it. */
interface Told {
  readonly name: string;
  readonly pid: number;
}

/** `headwater up` and the processes below it, which it starts again when they die. */
export class ChaosFleet implements AsyncDisposable {
  readonly data: string;
  readonly servers: readonly string[];
  readonly informationServers: readonly string[];
  readonly #folder: string;
  readonly #up: ChildProcess;
  readonly #url: string;
  readonly #pids = new Map<string, number>();

  private constructor(folder: string, up: ChildProcess, ready: Ready) {
    this.#folder = folder;
    this.#up = up;
    this.#url = ready.url;
    this.data = join(folder, 'data');
    this.servers = ready.servers.map(({ name }) => name);
    this.informationServers = ready.informationServers.map(({ name }) => name);
    for (const { name, pid } of [...ready.servers, ...ready.informationServers]) this.#pids.set(name, pid);
  }

  static async start(folder: string, servers: number): Promise<ChaosFleet> {
    const empty = join(folder, 'empty');
    await mkdir(empty);
    const words = ['up', '--json', '--port', '0', '--data', join(folder, 'data'), '--folder', empty];
    const counts = ['--servers', String(servers), '--information-servers', String(INFORMATION_SERVERS)];
    const env = environment(folder);
    const up = spawn(PROGRAM, [...words, ...counts, '--zones', 'a,b'], {
      env: {
        ...env,
        ...parts(),
        HEADWATER_ADMIN_EMAIL: EMAIL,
        HEADWATER_ADMIN_PASSWORD: PASSWORD,
        HEADWATER_REPLICAS: '3',
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface(up.stdout);
    const { promise, resolve, reject } = Promise.withResolvers<ChaosFleet>();
    let fleet: ChaosFleet | undefined;
    lines.on('line', (line) => {
      const event = JSON.parse(line) as { event: string };
      if (event.event === 'ready') resolve((fleet = new ChaosFleet(folder, up, event as Ready)));
      else if (event.event === 'process') fleet?.hear(event as unknown as ProcessEvent);
    });
    void once(up, 'exit').then(() => reject(new Error('headwater up ended')));
    const started = await promise;
    await writeFile(join(folder, 'password'), PASSWORD);
    const login = ['login', started.#url, '--email', EMAIL, '--password-file', join(folder, 'password')];
    const { status, stderr } = await started.run(login);
    if (status !== 0) throw new Error(`cannot log in: ${stderr}`);
    return started;
  }

  hear({ state, name, pid }: ProcessEvent): void {
    if (state === 'started' && pid !== undefined) this.#pids.set(name, pid);
    else if (state === 'died' || state === 'ended') this.#pids.delete(name);
  }

  /** Sends a signal to a process of the fleet; false where it is not running just now. */
  signal(name: string, signal: NodeJS.Signals): boolean {
    const pid = this.#pids.get(name);
    if (pid === undefined) return false;
    try {
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  }

  /** Runs a command of the program, logged in. */
  async run(words: readonly string[], within = 300_000): Promise<Outcome> {
    const child = spawn(PROGRAM, words, {
      env: environment(this.#folder),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (stdout += part));
    child.stderr.setEncoding('utf8').on('data', (part: string) => (stderr += part));
    const timer = setTimeout(() => child.kill('SIGKILL'), within);
    const [status] = (await once(child, 'close')) as [number | null];
    clearTimeout(timer);
    return { status, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#up.exitCode !== null) return;
    const ended = once(this.#up, 'exit');
    this.#up.kill('SIGTERM');
    await ended;
  }
}

interface Ready {
  readonly event: 'ready';
  readonly url: string;
  readonly servers: readonly Told[];
  readonly informationServers: readonly Told[];
}

interface ProcessEvent {
  readonly state: string;
  readonly name: string;
  readonly pid?: number;
}

function environment(folder: string): NodeJS.ProcessEnv {
  const { PATH } = process.env;
  return {
    PATH,
    HOME: folder,
    HEADWATER_CONFIG: join(folder, 'config'),
    XDG_CACHE_HOME: join(folder, 'cache'),
  };
}

/** The database and the broker of the fleet, where the caller names some. */
function parts(): NodeJS.ProcessEnv {
  const { HEADWATER_DATABASE_URL, HEADWATER_BROKER_URL } = process.env;
  return {
    ...(HEADWATER_DATABASE_URL && { HEADWATER_DATABASE_URL }),
    ...(HEADWATER_BROKER_URL && { HEADWATER_BROKER_URL }),
  };
}
