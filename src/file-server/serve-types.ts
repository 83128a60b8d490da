import type { HashingState } from './digests/digest-service.ts';
import type { Log } from './log.ts';

/** What a caller may say about serving. Unknown keys are refused. */
export interface ServeOptions {
  /** How many servers, 1 to 256. Default: one for each port given, or 1. */
  count?: number;
  /**
   * Their ports, in order; 0 takes any free one. When there are more servers than ports the others take the free ones
   * above the last. Default: 8080 and the free ones above it.
   */
  ports?: readonly number[];
  /** Address to listen on. Default: all of this machine's. */
  address?: string;
  /** Most bytes a second that each server sends, shared equally by its answers. Default: none. */
  limit?: number;
  /** PEM texts; https instead of http. */
  tls?: { readonly cert: string; readonly key: string };
  /** Seconds between `status` events. Default 1. */
  interval?: number;
  /** Seconds that answers may take to finish after an end was asked for. Default 5. */
  grace?: number;
  /** Folder that digests are kept in, or false to keep none. Default: the user's cache folder. */
  cache?: string | false;
  /** Port of the control API, 0 for any free one. Default: none. */
  control?: ControlOptions;
  /** Takes access and fault lines. Default: nothing is logged. */
  log?: Log;
  /** Stops everything, as `close()` does. */
  signal?: AbortSignal;
  /** Called for everything that happens, in order. Must not throw. */
  onEvent?: (event: ServeEvent) => void;
}

export interface ControlOptions {
  readonly port: number;
  /** With one, the API listens where the servers do and asks for it; without, on loopback only. */
  readonly token?: string;
}

/**
 * - `running`: answers
 * - `paused`: keeps its connections, sends nothing, answers 503 to what is new
 * - `ending`: takes nothing new, lets answers finish
 * - `ended`: closed by request
 * - `failed`: closed by a fault of its own; the others go on
 */
export type ServerState = 'running' | 'paused' | 'ending' | 'ended' | 'failed';

export interface ServerStatus {
  /** Number of the server, from 1. */
  readonly id: number;
  readonly url: string;
  readonly address: string;
  readonly port: number;
  readonly state: ServerState;
  /** Open connections. */
  readonly clients: number;
  /** Bodies being sent. */
  readonly answers: number;
  /** Bytes of file content handed to the network since the start. */
  readonly bytesSent: number;
  /** The same a second, over the last seconds. */
  readonly rate: number;
}

/** All servers listen; digests may still be missing. */
export interface ReadyEvent {
  readonly event: 'ready';
  readonly servers: readonly ServerStatus[];
  /** Names that are served, at most 10,000. */
  readonly names: readonly string[];
  /** URL of the control API, where there is one. */
  readonly control?: string;
}

export interface StatusEvent {
  readonly event: 'status';
  readonly servers: readonly ServerStatus[];
  readonly hashing: HashingState;
}

/** A server changed its state. */
export interface StateEvent {
  readonly event: 'state';
  readonly id: number;
  readonly url: string;
  readonly state: ServerState;
}

/** Something went wrong that no caller gets as an error. */
export interface FaultEvent {
  readonly event: 'fault';
  /** The server it happened to, where it happened to one. */
  readonly id?: number;
  readonly code: string;
  readonly message: string;
}

/** Every server has ended. */
export interface EndEvent {
  readonly event: 'end';
  readonly servers: readonly ServerStatus[];
}

export type ServeEvent = ReadyEvent | StatusEvent | StateEvent | FaultEvent | EndEvent;

/** One of the servers. */
export interface ServerHandle {
  readonly id: number;
  readonly url: string;
  readonly address: string;
  readonly port: number;
  readonly state: ServerState;
  status(): ServerStatus;
  /** Stops the bytes of answers under way and refuses new requests; connections stay. Nothing unless it is running. */
  pause(): void;
  /** Goes on with the same answers. Nothing unless it is paused. */
  resume(): void;
  /**
   * Takes nothing new, lets answers finish for `grace` seconds (those of a paused server cannot) and cuts off what is
   * left. Called again it cuts off at once. Resolves when every connection is closed.
   */
  end(grace?: number): Promise<void>;
}

/** Servers at work. */
export interface Serving extends AsyncDisposable {
  readonly servers: readonly ServerHandle[];
  /** URL of the control API, where there is one. */
  readonly control: string | undefined;
  readonly hashing: HashingState;
  /** Resolves when the digests of everything that was there at the start are known, or were given up. */
  readonly hashed: Promise<void>;
  /** Resolves when every server has ended, whoever ended it. */
  readonly closed: Promise<void>;
  /** Ends all servers as their `end` does, and everything else with them. */
  close(grace?: number): Promise<void>;
}
