import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';

import { headwater } from '../commands.ts';
import { InformationServerProcess } from '../information-server/server.ts';
import { cleanEnvironment, killTree } from '../processes.ts';
import type { Workspace } from '../workspace.ts';

const EMAIL = 'bench@fleet.example';
/** Milliseconds between looks at the catalogue, and after which a fleet that has not come up is given up. */
const LOOK = 100;
const DEADLINE = 120_000;

/** Where a file server runs and what it serves. */
export interface Place {
  readonly address: string;
  readonly folder: string;
  /** Put before the command, to run it inside a host of a lab. */
  readonly within?: readonly string[];
}

/** What `POST /v1/files/:id/downloads` answers, as far as the bench needs it. */
export interface Grant {
  readonly token: string;
  readonly sources: readonly { readonly url: string }[];
}

/** An information server and file servers, as processes of the program. */
export class HeadwaterFleet implements AsyncDisposable {
  readonly #workspace: Workspace;
  readonly #stack = new AsyncDisposableStack();
  readonly #servers: ChildProcess[] = [];
  readonly #places: readonly Place[];
  readonly #joinToken = randomBytes(24).toString('hex');
  #url = '';
  #session = '';

  private constructor(workspace: Workspace, places: readonly Place[]) {
    this.#workspace = workspace;
    this.#places = places;
  }

  static async start(
    workspace: Workspace,
    places: readonly Place[],
    address = '127.0.0.1',
  ): Promise<HeadwaterFleet> {
    const fleet = new HeadwaterFleet(workspace, places);
    try {
      await fleet.#start(address);
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
    return fleet;
  }

  /** With this a command needs no login. */
  get env(): Readonly<Record<string, string>> {
    return { HEADWATER_URL: this.#url, HEADWATER_TOKEN: this.#session };
  }

  /** Resolves when so many servers hold the file, and running ones are all that are known. */
  async holds(name: string, holders: number): Promise<void> {
    const until = performance.now() + DEADLINE;
    for (;;) {
      const found = await this.#ask<{ holders?: number }>(
        'GET',
        `files/by-name?name=${encodeURIComponent(name)}`,
      );
      if (found.holders === holders && (await this.#running()) === this.#places.length) return;
      if (performance.now() > until)
        throw new Error(`${name} has ${found.holders ?? 0} holders, not ${holders}`);
      await wait(LOOK);
    }
  }

  /** Resolves when all its servers run. */
  async runs(): Promise<void> {
    const until = performance.now() + DEADLINE;
    while ((await this.#running()) < this.#places.length) {
      if (performance.now() > until) throw new Error('the file servers did not come up');
      await wait(LOOK);
    }
  }

  async grant(name: string): Promise<Grant> {
    const { id } = await this.#ask<{ id: string }>('GET', `files/by-name?name=${encodeURIComponent(name)}`);
    return this.#ask<Grant>('POST', `files/${id}/downloads`);
  }

  /** Kills a server, from 0, at once. */
  async kill(index: number): Promise<void> {
    const child = this.#servers[index];
    if (child !== undefined) await killTree(child);
  }

  /** Starts a server that was killed. */
  revive(index: number): void {
    const place = this.#places[index];
    if (place === undefined) throw new RangeError(`server ${index} of ${this.#places.length}`);
    const name = `server-${index + 1}`;
    const own = ['--name', name, '--data', this.#workspace.at(name), '--address', place.address];
    const words = ['file-server', '--folder', place.folder, '--join', this.#url, ...own, '--json'];
    // The second time it takes the port that it had.
    if (this.#servers[index] === undefined) words.push('--port', '0');
    const [program = '', ...rest] = [...(place.within ?? []), ...headwater(...words)];
    const child = spawn(program, rest, {
      stdio: 'ignore',
      env: { ...cleanEnvironment(this.#workspace.at('home')), HEADWATER_JOIN_TOKEN: this.#joinToken },
    });
    this.#servers[index] = child;
  }

  async #start(address: string): Promise<void> {
    const password = randomBytes(12).toString('hex');
    const server = await InformationServerProcess.start(this.#workspace, {
      address,
      env: {
        HEADWATER_ADMIN_EMAIL: EMAIL,
        HEADWATER_ADMIN_PASSWORD: password,
        HEADWATER_JOIN_TOKEN: this.#joinToken,
      },
    });
    this.#stack.use(server);
    this.#url = server.url;
    const { token } = await this.#ask<{ token: string }>('POST', 'auth/login', { email: EMAIL, password });
    this.#session = token;
    for (const index of this.#places.keys()) this.revive(index);
  }

  async #running(): Promise<number> {
    const { items } = await this.#ask<{ items: { state: string }[] }>('GET', 'servers');
    return items.filter(({ state }) => state === 'running').length;
  }

  async #ask<T>(method: string, path: string, body?: object): Promise<T> {
    const headers: Record<string, string> = {};
    if (this.#session !== '') headers['authorization'] = `Bearer ${this.#session}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(`${this.#url}/v1/${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok && response.status !== 404)
      throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await killTree(server);
    await this.#stack.disposeAsync();
    // The next fleet begins with nothing.
    const own = this.#places.map((_, index) => `server-${index + 1}`);
    await this.#workspace.remove(...['information-server', ...own].map((each) => this.#workspace.at(each)));
  }
}
