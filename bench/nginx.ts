import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { killTree } from './processes.ts';
import type { Workspace } from './workspace.ts';

/** Milliseconds a server may take until it accepts. */
const START_TIME = 5000;

export interface NginxSettings {
  /** The folder that is served. */
  readonly root: string;
  readonly address: string;
  readonly ports: readonly number[];
  /** Put before the command, to start it inside a namespace. */
  readonly within?: readonly string[];
  /** Bytes a second for each connection, in nginx's words. */
  readonly limitRate?: string;
  /** Worker processes under a master. Default: no master, one process does the work. */
  readonly workers?: number;
  /** Takes files by PUT (WebDAV) of any size. */
  readonly takesFiles?: boolean;
}

let started = 0;

/** An nginx of its own: sendfile, no access log, nothing shared with another instance or with the system's. */
export class Nginx implements AsyncDisposable {
  readonly address: string;
  readonly ports: readonly number[];
  readonly #child: ChildProcess;
  readonly #killAtExit = (): void => void killTree(this.#child);

  private constructor(child: ChildProcess, settings: NginxSettings) {
    this.#child = child;
    this.address = settings.address;
    this.ports = settings.ports;
    process.on('exit', this.#killAtExit);
  }

  /** Resolves when every port accepts. */
  static async start(workspace: Workspace, settings: NginxSettings): Promise<Nginx> {
    const folder = await workspace.folder('nginx', String(++started));
    const configuration = join(folder, 'nginx.conf');
    const log = join(folder, 'error.log');
    await mkdir(join(folder, 'temporary'));
    await writeFile(configuration, configure(folder, settings));
    // The first process dies with this one, so that a benchmark that is killed leaves no server behind.
    const nginx = ['setpriv', '--pdeathsig', 'KILL', 'nginx', '-e', log, '-p', folder, '-c', configuration];
    const [program = '', ...rest] = [...(settings.within ?? []), ...nginx];
    const child = spawn(program, rest, { stdio: 'ignore' });
    const server = new Nginx(child, settings);
    try {
      for (const port of settings.ports) await accepting(settings.address, port, child);
    } catch (cause) {
      await server.kill();
      const why = await readFile(log, 'utf8').catch(() => '');
      throw new Error(`nginx did not start on ${settings.address}: ${why.trim()}`, { cause });
    }
    return server;
  }

  /** Its first process; -1 where it could not be started. */
  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Where `name` is served, one for each port. */
  urls(name: string): string[] {
    return this.ports.map((port) => `http://${this.address}:${port}/${name}`);
  }

  /** Ends all its processes at once; the kernel closes their connections. */
  async kill(): Promise<void> {
    process.off('exit', this.#killAtExit);
    await killTree(this.#child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

function configure(folder: string, settings: NginxSettings): string {
  const { root, address, ports, workers, limitRate, takesFiles } = settings;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
master_process ${workers === undefined ? 'off' : 'on'};
worker_processes ${workers ?? 1};
pid ${folder}/pid;
events { worker_connections 4096; }
http {
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  ${limitRate === undefined ? '' : `limit_rate ${limitRate};`}
  ${takesFiles === true ? 'dav_methods PUT; client_max_body_size 0;' : ''}
  ${temporary.map((each) => `${each}_temp_path ${folder}/temporary/${each};`).join('\n  ')}
  ${ports.map((port) => `server { listen ${address}:${port}; root ${root}; }`).join('\n  ')}
}
`;
}

async function accepting(address: string, port: number, child: ChildProcess): Promise<void> {
  const until = performance.now() + START_TIME;
  while (!(await canConnect(address, port))) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > until)
      throw new Error(`nothing accepts on ${address}:${port}`);
    await sleep(10);
  }
}

function canConnect(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: 200 });
    const done = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => done(true));
    socket.once('timeout', () => done(false));
    socket.once('error', () => done(false));
  });
}

/** Ports of the loopback address that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const holders = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = holders.map((each) => (each.address() as AddressInfo).port);
  await Promise.all(holders.map((each) => new Promise((resolve) => each.close(resolve))));
  return ports;
}
