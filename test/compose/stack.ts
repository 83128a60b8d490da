import { createHash, randomBytes } from 'node:crypto';
import { cpSync, createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';

import type { Engine } from './engine.ts';

const MIB = 1024 * 1024;
const IMAGE = 'headwater:test-compose';
/** Entry point of the stand-in images that a machine without a registry may have. */
const STAND_IN = '/entry';

/** The fleet of deploy/compose.yaml, under a name, a port and secrets of its own. */
export class Stack {
  readonly folder = mkdtempSync(join(tmpdir(), 'headwater-compose-'));
  readonly #deploy = join(this.folder, 'deploy');
  readonly #engine: Engine;
  readonly #root: string;
  readonly #project = `headwater-test-${randomBytes(3).toString('hex')}`;
  #port = 0;

  constructor(engine: Engine, root: string) {
    this.#engine = engine;
    this.#root = root;
  }

  get url(): string {
    return `https://localhost:${this.#port}`;
  }

  secret(name: string): string {
    return join(this.#deploy, 'secrets', name);
  }

  build(): void {
    this.#engine.build(IMAGE, join(this.#root, 'deploy', 'Dockerfile'), this.#root);
  }

  /** A file of random bytes that all file servers serve; gives its SHA-256. */
  async addFile(name: string, mebibytes: number): Promise<string> {
    const files = join(this.#deploy, 'files');
    mkdirSync(files, { recursive: true });
    const hash = createHash('sha256');
    const file = createWriteStream(join(files, name));
    for (let at = 0; at < mebibytes; at++) {
      const block = randomBytes(MIB);
      hash.update(block);
      if (!file.write(block)) await once(file, 'drain');
    }
    file.end();
    await finished(file);
    return hash.digest('hex');
  }

  async prepare(): Promise<void> {
    cpSync(join(this.#root, 'deploy'), this.#deploy, {
      recursive: true,
      // Those of whoever runs a fleet from this checkout are not for a test.
      filter: (path) => !/\/deploy\/(secrets|files|\.env)$/.test(path),
    });
    const { status, stderr } = spawnSync(join(this.#deploy, 'first-secrets.sh'), { encoding: 'utf8' });
    if (status !== 0) throw new Error(`first-secrets.sh: ${stderr}`);
    this.#port = await freePort();
  }

  up(): void {
    this.#compose(['up', '-d']);
  }

  start(service: string): void {
    this.#engine.run(['start', this.container(service)]);
  }

  stop(service: string): void {
    this.#engine.run(['stop', '-t', '30', this.container(service)]);
  }

  /** SIGKILL, as from a machine that loses its power. */
  kill(service: string): void {
    this.#engine.run(['kill', '-s', 'KILL', this.container(service)]);
  }

  /** Runs a program in a service's container. */
  run(service: string, ...command: readonly string[]): { readonly status: number; readonly stdout: string } {
    return this.#engine.run(['exec', this.container(service), ...command], { mayFail: true });
  }

  /** Whether the check that the container comes with succeeds now. */
  isHealthy(service: string): boolean {
    const container = this.container(service);
    if (this.#engine.name === 'podman') {
      // Without systemd nobody runs it every few seconds.
      return this.#engine.run(['healthcheck', 'run', container], { mayFail: true }).status === 0;
    }
    return this.inspect(service, '{{.State.Health.Status}}') === 'healthy';
  }

  inspect(service: string, format: string): string {
    return this.#engine.run(['inspect', '--format', format, this.container(service)]).stdout.trim();
  }

  container(service: string): string {
    const filters = { project: this.#project, service };
    const args = Object.entries(filters).flatMap(([key, value]) => [
      '--filter',
      `label=com.docker.compose.${key}=${value}`,
    ]);
    const [id] = this.#engine.run(['ps', '-a', '-q', ...args]).stdout.split('\n');
    if (id === undefined || id === '') throw new Error(`there is no container of ${service}`);
    return id;
  }

  logs(service: string, lines: number): string {
    const { stdout, stderr } = this.#engine.run(['logs', '--tail', String(lines), this.container(service)], {
      mayFail: true,
    });
    return `${stdout}${stderr}`;
  }

  /** Takes everything away again: containers, networks, volumes, the image, the folder. */
  remove(): void {
    try {
      // Also what was not started: it fails for that, and takes the rest away.
      this.#compose(['down', '-v', '-t', '1'], { mayFail: true });
    } finally {
      const engine = this.#engine;
      // podman-compose leaves its networks.
      for (const network of engine.name === 'podman' ? ['front', 'data', 'events'] : [])
        engine.run(['network', 'rm', '-f', `${this.#project}_${network}`], { mayFail: true });
      engine.run(['image', 'rm', '-f', IMAGE], { mayFail: true });
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  #compose(args: readonly string[], options: { readonly mayFail?: boolean } = {}): void {
    const overlay = this.#hasStandIns() ? ['-f', join(this.#root, 'test', 'compose', 'stand-ins.yaml')] : [];
    this.#engine.compose(
      ['-p', this.#project, '-f', join(this.#deploy, 'compose.yaml'), ...overlay, ...args],
      {
        ...process.env,
        HEADWATER_IMAGE: IMAGE,
        HEADWATER_PORT: String(this.#port),
        HEADWATER_ADDRESS: '127.0.0.1',
        HEADWATER_PUBLIC_URL: this.url,
        HEADWATER_ADMIN_EMAIL: 'admin@example.org',
        HEADWATER_TEST_POSTGRES_PASSWORD: readFileSync(this.secret('postgres-password'), 'utf8').trim(),
      },
      options,
    );
  }

  #hasStandIns(): boolean {
    const args = ['image', 'inspect', '--format', '{{.Config.Entrypoint}}', 'postgres:17'];
    return this.#engine.run(args, { mayFail: true }).stdout.includes(STAND_IN);
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
