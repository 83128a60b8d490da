import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { HeartbeatAnswer, Registered, type Heartbeat } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { DataFolder, Identity } from './data-folder.ts';
import type { FleetClock } from './fleet-clock.ts';
import type { InformationServers } from './information-servers.ts';
import { CLOCK_ERROR, HEARTBEAT_TIMEOUT } from './limits.ts';

/** What a heartbeat tells of the server. */
export type Pulse = Pick<
  Heartbeat,
  'state' | 'answers' | 'clients' | 'rate' | 'bytesSent' | 'holdingsVersion' | 'store'
> & {
  readonly downloads: number;
};

export interface MembershipOptions {
  readonly servers: InformationServers;
  readonly data: DataFolder;
  readonly clock: FleetClock;
  readonly joinToken: string | undefined;
  /** What the server is, besides who. */
  readonly about: {
    readonly name: string;
    readonly zone: string;
    readonly url: string;
    readonly port: number;
    readonly capacity: number | undefined;
    readonly version: string;
  };
  readonly signal: AbortSignal;
  readonly pulse: () => Pulse;
  /** That many downloads were told. */
  readonly onDownloadsTold: (count: number) => void;
  /** Number of the last announcement and command, to tell an answer that crossed one. */
  readonly marks: () => Marks;
  readonly onJoined: (answer: Registered, identity: Identity, isFirst: boolean) => void;
  readonly onAnswer: (answer: HeartbeatAnswer, then: Marks) => void;
  /** Nothing that is tried again will change it. */
  readonly onOver: (error: HeadwaterError) => void;
  readonly onFault: (error: HeadwaterError) => void;
}

export interface Marks {
  readonly announced: number;
  readonly commanded: number;
}

/** Seconds between heartbeats until the fleet says. */
const FIRST_INTERVAL = 2;

/** This server's place in the fleet: joins, comes back, and says now and then how it is. */
export class Membership {
  readonly #options: MembershipOptions;
  /** Of two processes that are one server the later counts. */
  readonly instance: number;
  #identity: Identity | undefined;
  #interval = FIRST_INTERVAL;
  #hurry = new AbortController();
  #work: Promise<void> | undefined;
  #joined = false;
  #connected = false;
  #clockTold = false;
  #told = new Set<string>();

  constructor(options: MembershipOptions, identity: Identity | undefined) {
    this.#options = options;
    this.#identity = identity;
    // Even where the clock was set back since.
    this.instance = Math.max(Date.now(), (identity?.instance ?? 0) + 1);
  }

  get identity(): Identity | undefined {
    return this.#identity;
  }

  /** Whether the last question was answered. */
  get connected(): boolean {
    return this.#connected;
  }

  start(): void {
    this.#work = this.#run();
  }

  /** Says now how it is. */
  beat(): void {
    this.#hurry.abort();
  }

  /** Says a last time how it is, without waiting long for who does not answer. */
  async close(): Promise<void> {
    await this.#work;
  }

  /** One heartbeat outside of the turn: the last one. Never fails. */
  async farewell(): Promise<void> {
    if (!this.#joined || !this.#connected) return;
    await this.#beat(1_000).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal, servers } = this.#options;
    for (let attempt = 0; !signal.aborted;) {
      try {
        if (this.#joined) await this.#beat(HEARTBEAT_TIMEOUT);
        else await this.#join();
        this.#connected = true;
        attempt = 0;
        await this.#rest(this.#interval * 1000);
      } catch (error) {
        if (signal.aborted) return;
        this.#connected = false;
        if (!this.#goesOn(error)) return;
        await servers.backOff(attempt++);
      }
    }
  }

  #goesOn(error: unknown): boolean {
    const { onOver } = this.#options;
    const known =
      error instanceof HeadwaterError
        ? error
        : new HeadwaterError('HW_PROTOCOL', 'an information server answers what cannot be understood', {
            cause: error,
          });
    if (known.code === 'HW_SUPERSEDED') {
      onOver(known);
      return false;
    }
    if (known.remedy === 'wait') return true;
    const wasJoined = this.#joined;
    // The fleet does not know this token or process any more: it joins again.
    this.#joined = false;
    if (wasJoined) return true;
    if (this.#identity === undefined) {
      onOver(known);
      return false;
    }
    this.#fault(known);
    return true;
  }

  /** What stays so is told once. */
  #fault(error: HeadwaterError): void {
    if (this.#told.has(error.message) || this.#told.size > 100) return;
    this.#told.add(error.message);
    this.#options.onFault(error);
  }

  async #join(): Promise<void> {
    const { servers, about, data, joinToken, onJoined } = this.#options;
    const before = this.#identity;
    const { name, zone, url, capacity, version } = about;
    const id = before?.id ?? (await data.joiningId());
    const register = async (token: string | undefined) =>
      Registered.parse(
        await servers.call({
          method: 'POST',
          path: '/v1/servers',
          token,
          body: {
            id,
            instance: this.instance,
            name,
            zone,
            url,
            capacity,
            version,
          },
        }),
      );
    let answer: Registered;
    try {
      answer = await register(before?.token ?? joinToken);
    } catch (error) {
      // Its own token counts no more, or is another fleet's.
      const isUnknown = error instanceof HeadwaterError && error.code === 'HW_TOKEN_INVALID';
      if (!isUnknown || before === undefined || joinToken === undefined) throw error;
      answer = await register(joinToken);
    }
    servers.learn(answer.informationServers);
    const identity: Identity = {
      id: answer.id,
      token: answer.token,
      fleet: answer.fleet,
      instance: this.instance,
      port: about.port,
      informationServers: [...servers.urls],
    };
    await data.keepIdentity(identity);
    this.#identity = identity;
    this.#interval = answer.heartbeat;
    this.#joined = true;
    onJoined(answer, identity, before?.id !== answer.id || before.fleet !== answer.fleet);
    // At once: a fleet takes it for running until it says what it is.
    await this.#beat(HEARTBEAT_TIMEOUT);
  }

  async #beat(timeout: number): Promise<void> {
    const { servers, pulse, marks, clock, data, onAnswer, onDownloadsTold } = this.#options;
    const identity = this.#identity;
    if (identity === undefined) return;
    this.#hurry = new AbortController();
    const { downloads, ...now } = pulse();
    const then = marks();
    const free = await freeBytes(data.path);
    const asked = performance.now();
    const answer = HeartbeatAnswer.parse(
      await servers.call({
        method: 'POST',
        path: `/v1/servers/${identity.id}/heartbeat`,
        token: identity.token,
        timeout,
        body: {
          ...now,
          instance: this.instance,
          downloads,
          time: new Date().toISOString(),
          ...(free !== undefined && { free }),
        } satisfies Heartbeat,
      }),
    );
    onDownloadsTold(downloads);
    clock.heard(Date.parse(answer.time), asked);
    servers.learn(answer.informationServers);
    this.#tellClock();
    onAnswer(answer, then);
  }

  #tellClock(): void {
    const { clock, onFault } = this.#options;
    const { ahead } = clock;
    const isWrong = Math.abs(ahead) > CLOCK_ERROR;
    if (isWrong && !this.#clockTold) {
      const seconds = Math.round(Math.abs(ahead) / 1000);
      const message = `this machine's clock is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} the fleet's; grants are checked by the fleet's time, but set it right: until an information server answers after a start, this clock decides`;
      onFault(
        new HeadwaterError('HW_CONFLICT', message, { details: { secondsAhead: Math.round(ahead / 1000) } }),
      );
    }
    this.#clockTold = isWrong;
  }

  async #rest(milliseconds: number): Promise<void> {
    const signal = AbortSignal.any([this.#hurry.signal, this.#options.signal]);
    await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
  }
}

/** Undefined where the file system does not say. */
async function freeBytes(path: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
