import type { Log } from '../log.ts';

/**
 * What a file server does in its fleet.
 * - `running`: answers
 * - `paused`: keeps its connections, sends nothing, refuses what is new
 * - `draining`: goes on with the downloads that it has seen, takes no new ones
 * - `stopped`: takes nothing, lets answers finish, and ends
 */
export type RunState = 'running' | 'paused' | 'draining' | 'stopped';

/** Who changed it. */
export type ChangedBy = 'console' | 'signal' | 'operator' | 'fleet' | 'fault';

/** What its chunk store may do. */
export interface ChunkSettings {
  /** Bytes that it may fill; undefined: what is free besides the reserve. */
  readonly capacity: number | undefined;
  /** Bytes of the disk that are kept free; undefined: 1 GiB, or 5 % of a small disk. */
  readonly reserve: number | undefined;
  /** Seconds within which every chunk is read again. */
  readonly scrubInterval: number;
  /** Bytes a second that are copied from other servers at most. */
  readonly copyRate: number;
}

export interface FleetServerOptions {
  /** Folders whose files are served in place. */
  readonly folders: readonly string[];
  /** Addresses of information servers. */
  readonly join: readonly string[];
  /** Undefined: only a server that joined before can come back. */
  readonly joinToken: string | undefined;
  readonly name: string;
  readonly zone: string;
  /** Undefined: the one of the last time, or the first free one. */
  readonly port: number | undefined;
  /** Address to listen on. Undefined: all of this machine's. */
  readonly address: string | undefined;
  /** Where clients reach it; undefined: where it listens. */
  readonly publicUrl: string | undefined;
  /** Its chunk store. */
  readonly chunks: ChunkSettings;
  /** Most bytes a second. */
  readonly limit: number | undefined;
  /** Folder of its own: who it is and what it knows. */
  readonly data: string;
  /** Folder that digests are kept in for other programs too; false: none. */
  readonly cache: string | undefined | false;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly version: string;
  /** Milliseconds between `status` events. */
  readonly interval: number;
  /** Milliseconds between two walks through the folders, at least. */
  readonly rescanEvery?: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called for everything that happens, in order. Must not throw. */
  readonly onEvent: (event: FleetServerEvent) => void;
}

export interface FleetServerStatus {
  readonly name: string;
  readonly url: string;
  readonly state: RunState;
  /** Whether an information server has answered lately. */
  readonly connected: boolean;
  /** Open connections. */
  readonly clients: number;
  /** Bodies being sent. */
  readonly answers: number;
  readonly bytesSent: number;
  /** Bytes a second, over the last seconds. */
  readonly rate: number;
  /** Contents that are held. */
  readonly files: number;
  /** Chunks in the chunk store, and their bytes. */
  readonly chunks: number;
  readonly chunkBytes: number;
  /** Files that are not hashed yet, and their bytes. */
  readonly pending: number;
  readonly pendingBytes: number;
  /** Downloads seen since the start. */
  readonly downloads: number;
}

/** It listens; clients get nothing before it has joined. */
export interface ListeningEvent {
  readonly event: 'listening';
  readonly url: string;
  readonly pid: number;
}

/** It has joined. Emitted once. */
export interface JoinedEvent {
  readonly event: 'ready';
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  readonly url: string;
  readonly pid: number;
  readonly fleet: string;
  readonly informationServer: string;
}

export type FleetServerEvent =
  | ListeningEvent
  | JoinedEvent
  | { readonly event: 'status'; readonly server: FleetServerStatus }
  | { readonly event: 'state'; readonly state: RunState; readonly by: ChangedBy }
  /** Everything that was in the folders at the start is known and announced. */
  | { readonly event: 'announced'; readonly files: number; readonly version: number }
  /** No information server answers any more, or one does again. */
  | {
      readonly event: 'connection';
      readonly connected: boolean;
      readonly url: string;
      readonly message?: string;
    }
  /** A chunk turned out to be bad on the disk. */
  | {
      readonly event: 'bad-chunk';
      /** Of a file; of what is in the chunk store, the chunk's digest. */
      readonly name: string;
      readonly chunk?: number;
      readonly path: string;
    }
  | { readonly event: 'fault'; readonly code: string; readonly message: string }
  | { readonly event: 'end' };
