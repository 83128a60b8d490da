import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { ServerEntry } from '../../core/api/servers.ts';
import { HeadwaterError, type ErrorCode } from '../../core/errors.ts';
import { Child, type ChildEnd } from './child.ts';
import type { FleetView } from './fleet-view.ts';
import { lastWords } from './last-words.ts';
import type { UpPlan } from './plan.ts';
import type { UpEvent, UpInformationServer, UpServer, UpServerState, UpStatus } from './up-types.ts';
import { fileServerArgs, fileServerEnv, informationServerArgs, informationServerEnv } from './commands.ts';

/** Milliseconds between two looks while the fleet comes up. */
const LOOK_EVERY = 150;
/** Milliseconds that a process may take to be there: a machine under load, and PostgreSQL at the far end of a line. */
const START_TIME = 60_000;

/** Faults of file servers that are told; a folder can have a million names that are none. The logs have them all. */
const MOST_FAULTS = 20;

type ServerCommand = 'pause' | 'resume' | 'end';

/** What a file server takes for the same. */
const SIGNALS = { pause: 'SIGUSR1', resume: 'SIGUSR2', end: 'SIGTERM' } as const;

/** The processes of one fleet on this machine. Owns them. */
export class UpFleet {
  readonly #plan: UpPlan;
  readonly #view: FleetView;
  readonly #tell: (event: UpEvent) => void;
  readonly #information: readonly Child[];
  readonly #servers: readonly Child[];
  /** Why a process has ended, until it is started again. */
  readonly #ends = new Map<string, ChildEnd>();
  /** Faults that were told: all servers have the same folders, and say the same of them. */
  readonly #faults = new Set<string>();
  #entries: ReadonlyMap<string, ServerEntry> = new Map();
  #leading: ReadonlyMap<string, { ready: boolean; leader: boolean } | undefined> = new Map();
  #stopping = false;

  constructor(plan: UpPlan, view: FleetView, env: NodeJS.ProcessEnv, tell: (event: UpEvent) => void) {
    this.#plan = plan;
    this.#view = view;
    this.#tell = tell;
    const listener = {
      onStart: (child: Child): void => {
        this.#ends.delete(child.name);
        tell({ event: 'process', state: 'started', name: child.name, pid: child.pid });
      },
      onEnd: (end: ChildEnd): void => {
        this.#ends.set(end.name, end);
        // That they end is what was asked for.
        if (this.#stopping) return;
        tell({ event: 'process', state: end.restartIn === undefined ? 'ended' : 'died', ...end });
      },
      onFault: ({ code, message }: { readonly code: ErrorCode; readonly message: string }): void => {
        if (this.#faults.has(message) || this.#faults.size > MOST_FAULTS) return;
        this.#faults.add(message);
        if (this.#faults.size <= MOST_FAULTS) tell({ event: 'fault', code, message });
        else tell({ event: 'note', message: `There are more faults: see ${join(plan.data, 'logs')}.` });
      },
    };
    const log = (name: string): string => join(plan.data, 'logs', `${name}.log`);
    this.#information = plan.informationServers.map(
      (each) =>
        new Child(
          {
            name: each.name,
            args: () => informationServerArgs(plan, each),
            env: informationServerEnv(env),
            log: log(each.name),
          },
          listener,
        ),
    );
    this.#servers = plan.servers.map(
      (each) =>
        new Child(
          {
            name: each.name,
            args: () => fileServerArgs(plan, each),
            env: fileServerEnv(plan, env),
            log: log(each.name),
          },
          listener,
        ),
    );
  }

  /** Process ids of what runs. */
  get pids(): number[] {
    return [...this.#information, ...this.#servers].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /**
   * Starts everything, and waits until every server has joined.
   *
   * @throws HeadwaterError what the first process said that ended instead
   */
  async start(signal: AbortSignal): Promise<void> {
    const [first, ...others] = this.#information;
    // The first one makes the tables, the fleet's id and its join token; the others find them.
    await first?.start();
    await this.#until(() => this.#allReady(1), signal, 'the first information server');
    await Promise.all([...others, ...this.#servers].map((each) => each.start()));
    await this.#until(() => this.#allReady(this.#information.length), signal, 'every information server');
    await this.#until(() => this.#allJoined(), signal, 'every file server');
    await this.#until(() => this.#someLeads(), signal, 'a leader');
  }

  /** Looks at the fleet; what cannot be seen now stays as it was seen last. */
  async look(): Promise<UpStatus> {
    const [entries] = await Promise.all([
      this.#view.servers().catch(() => undefined),
      this.#readiness(this.#information.length),
    ]);
    const before = new Map(this.status.servers.map(({ name, state }) => [name, state]));
    if (entries !== undefined) this.#entries = entries;
    for (const { name, state } of this.status.servers) {
      if (before.get(name) !== state) this.#tell({ event: 'state', name, state });
    }
    return this.status;
  }

  /** As it was seen last. */
  get status(): UpStatus {
    const { servers, informationServers } = this.#plan;
    return {
      servers: servers.map((planned, at): UpServer => {
        const entry = this.#entries.get(planned.name);
        const child = this.#servers[at];
        const state = this.#stateOf(child, entry);
        const gone = child?.pid === undefined;
        return {
          number: at + 1,
          id: entry?.id ?? '',
          name: planned.name,
          zone: planned.zone,
          url: entry?.url ?? `http://${this.#plan.address}:${planned.port}`,
          pid: child?.pid,
          state,
          clients: gone ? 0 : (entry?.clients ?? 0),
          bytesSent: entry?.bytesSent ?? 0,
          rate: gone ? 0 : (entry?.rate ?? 0),
          files: entry?.files ?? 0,
        };
      }),
      informationServers: informationServers.map(({ name, url }, at): UpInformationServer => {
        const { ready = false, leader = false } = this.#leading.get(url) ?? {};
        const pid = this.#information[at]?.pid;
        return { name, url, pid, ready: ready && pid !== undefined, leader: leader && pid !== undefined };
      }),
    };
  }

  /**
   * Does what the operator said about server `number`.
   *
   * @returns what to tell the operator; undefined: the table shows it
   * @throws HeadwaterError
   */
  async command(number: number, command: ServerCommand): Promise<string | undefined> {
    const child = this.#servers[number - 1];
    if (child === undefined) return `there is no server ${number}; there are 1 to ${this.#servers.length}`;
    if (command === 'end') {
      if (child.pid === undefined) {
        child.leave();
        return `${child.name} has ended`;
      }
      return this.#order(child, command);
    }
    if (child.pid === undefined) {
      if (command === 'pause') return `${child.name} does not run: r${number} starts it`;
      await child.start();
      return undefined;
    }
    return this.#order(child, command);
  }

  /** By way of the fleet, so that all know of it; where no information server answers, to the server itself. */
  async #order(child: Child, command: ServerCommand): Promise<string | undefined> {
    try {
      await this.#view.command(child.name, command === 'end' ? 'stop' : command);
      return undefined;
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.remedy !== 'wait') throw error;
      child.signal(SIGNALS[command]);
      return `no information server answers: ${child.name} itself was told`;
    }
  }

  /** Stops the file servers, then the information servers that they say goodbye to. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#servers.map((each) => each.stop()));
    await this.#view.close();
    await Promise.all(this.#information.map((each) => each.stop()));
  }

  /** Ends every process at once. */
  kill(): void {
    for (const each of [...this.#servers, ...this.#information]) each.kill();
  }

  #stateOf(child: Child | undefined, entry: ServerEntry | undefined): UpServerState {
    const end = child === undefined ? undefined : this.#ends.get(child.name);
    if (child?.pid === undefined) {
      if (end === undefined) return this.#stopping ? 'ended' : 'starting';
      return end.restartIn === undefined ? 'ended' : 'died';
    }
    // What is known is of the process before this one.
    if (entry === undefined || Date.parse(entry.lastSeenAt) < child.startedAt) return 'starting';
    return entry.state;
  }

  async #until(seen: () => Promise<boolean>, signal: AbortSignal, what: string): Promise<void> {
    const end = performance.now() + START_TIME;
    for (;;) {
      if (signal.aborted) throw signal.reason;
      if (await seen()) return;
      const [ended] = this.#ends.values();
      if (ended !== undefined) {
        const child = [...this.#information, ...this.#servers].find(({ name }) => name === ended.name);
        throw await lastWords(child?.log ?? '', ended);
      }
      if (performance.now() > end) {
        const said = `${what} is not there after ${START_TIME / 1000} s; what they say is in ${join(this.#plan.data, 'logs')}`;
        throw new HeadwaterError('HW_UNAVAILABLE', said);
      }
      await sleep(LOOK_EVERY, undefined, { signal }).catch(() => undefined);
    }
  }

  async #readiness(number: number): Promise<void> {
    const asked = this.#plan.informationServers
      .slice(0, number)
      .map(async ({ url }) => [url, await this.#view.readiness(url)] as const);
    this.#leading = new Map(await Promise.all(asked));
  }

  async #allReady(number: number): Promise<boolean> {
    await this.#readiness(number);
    return [...this.#leading.values()].every((each) => each?.ready === true);
  }

  async #allJoined(): Promise<boolean> {
    this.#entries = await this.#view.servers();
    return this.status.servers.every(({ state }) => state !== 'starting' && state !== 'died');
  }

  async #someLeads(): Promise<boolean> {
    await this.#readiness(this.#information.length);
    return this.status.informationServers.some(({ leader }) => leader);
  }
}
