import type { FleetServerState } from '../../core/api/servers.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { ChildEnd } from './child.ts';

/**
 * What a server of `up` does: what the fleet says of it, and before or after that:
 * - `starting`: its process has started, and has not joined yet
 * - `ended`: on request; started again by `r`
 * - `died`: is started again in a moment
 */
export type UpServerState = FleetServerState | 'starting' | 'ended' | 'died';

/** A file server as it is now. */
export interface UpServer {
  /** From 1, for the console. */
  readonly number: number;
  /** Given by the fleet; empty until it has joined for the first time. */
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  readonly url: string;
  readonly pid: number | undefined;
  readonly state: UpServerState;
  readonly clients: number;
  readonly bytesSent: number;
  /** Bytes a second. */
  readonly rate: number;
  readonly files: number;
}

export interface UpInformationServer {
  readonly name: string;
  readonly url: string;
  readonly pid: number | undefined;
  readonly ready: boolean;
  readonly leader: boolean;
}

export interface UpStatus {
  readonly servers: readonly UpServer[];
  readonly informationServers: readonly UpInformationServer[];
}

/** What `up` tells, one JSON object a line. */
export type UpEvent =
  | { readonly event: 'note'; readonly message: string }
  | { readonly event: 'starting'; readonly servers: number; readonly informationServers: number }
  | { readonly event: 'admin'; readonly email: string; readonly password?: string }
  | ({
      readonly event: 'ready';
      /** Of the first information server. */
      readonly url: string;
      readonly data: string;
      readonly folders: readonly string[];
      /** Nobody named a folder: it is one in the data folder, empty at first. */
      readonly ownFolder: boolean;
    } & UpStatus)
  | ({ readonly event: 'status' } & UpStatus)
  | { readonly event: 'state'; readonly name: string; readonly state: UpServerState }
  | ({ readonly event: 'process'; readonly state: 'ended' | 'died' } & ChildEnd)
  | {
      readonly event: 'process';
      readonly state: 'started';
      readonly name: string;
      readonly pid: number | undefined;
    }
  | { readonly event: 'fault'; readonly code: ErrorCode; readonly message: string }
  | { readonly event: 'stopping' }
  | { readonly event: 'end' };
