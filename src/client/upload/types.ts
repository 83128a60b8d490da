import type { Readable } from 'node:stream';

import type { FileEntry } from '../../core/api/files.ts';
import type { ErrorCode } from '../../core/errors.ts';

/** What a caller may say about an upload. */
export interface UploadOptions {
  /** The file's name in the fleet, a path with `/`. Default: the last part of the path; a stream needs one. */
  name?: string;
  /** Copies of each chunk, 1 to 16. Default: the fleet's. */
  replicas?: number;
  /** Zones to spread them over, 1 to 16. Default: as many as there are. */
  zones?: number;
  /** Who may see it. Default: everyone with an account. */
  visibility?: 'everyone' | readonly string[];
  /** Take the name from the file that has it, which is deleted. Default false: `HW_CONFLICT`. */
  replace?: boolean;
  /** Seconds for which what was sent is kept when the upload does not come to its end. Default: the fleet's, 24 hours. */
  keep?: number;
  /** Seconds between `progress` events. Default 1. */
  interval?: number;
  /** Stops the upload; what was sent is kept. */
  signal?: AbortSignal;
  /** Called for everything that happens, in order. Must not throw. */
  onEvent?: (event: UploadEvent) => void;
}

/** A path, or bytes of unknown number, which go to a temporary file first. */
export type UploadSource = string | Readable;

/** - `running`: takes chunks · `waiting`: away, full or closed for now */
export type StoreState = 'running' | 'waiting';

/** A server that chunks are sent to. */
export interface StoreProgress {
  /** Number in the order in which the servers became known, from 1. */
  readonly id: number;
  readonly url: string;
  readonly name: string;
  readonly zone: string;
  readonly state: StoreState;
  /** Bytes that it took from here in this run; what it gets from other servers is not among them. */
  readonly bytes: number;
  /** Its part of all bytes of this run, 0 to 1. */
  readonly share: number;
  /** Bytes a second now. */
  readonly rate: number;
  /** Chunks on their way to it now. */
  readonly connections: number;
}

/** What has no size is read to its end before it is cut. */
export interface UploadReadingEvent {
  readonly event: 'reading';
  /** Bytes so far. */
  readonly bytes: number;
}

export interface UploadStartEvent {
  readonly event: 'start';
  /** In the fleet. */
  readonly name: string;
  readonly size: number;
  readonly chunkSize: number;
  readonly chunks: number;
  /** Copies of each chunk, and zones that they are spread over, that will be made. */
  readonly replicas: number;
  readonly zones: number;
  /** Servers that take chunks now. */
  readonly servers: number;
  /** ISO 8601: until then what was sent is kept without a commit. */
  readonly keepUntil: string;
}

/** A server changed its state. */
export interface StoreEvent {
  readonly event: 'server';
  readonly id: number;
  readonly url: string;
  readonly name: string;
  readonly zone: string;
  readonly state: StoreState;
  readonly code?: ErrorCode;
  readonly message?: string;
  /** Seconds until it is asked again. */
  readonly retryIn?: number;
}

export interface UploadProgressEvent {
  readonly event: 'progress';
  /** Seconds since the start. */
  readonly seconds: number;
  /** Bytes of the file whose copies are all there, or on their way. */
  readonly bytes: number;
  readonly size: number;
  /** Bytes of the file whose digests are known. */
  readonly hashed: number;
  /** Bytes a second over the last seconds. */
  readonly rate: number;
  readonly secondsLeft?: number;
  readonly servers: readonly StoreProgress[];
}

/** Something the person should know: it waits, and for what. */
export interface UploadNoticeEvent {
  readonly event: 'notice';
  readonly message: string;
  readonly code?: ErrorCode;
}

/** What was published. */
export interface UploadReport {
  /** Of the file in the fleet. */
  readonly id: FileEntry['id'];
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  /** Bytes of the chunks that were sent. */
  readonly bytesSent: number;
  /** Bytes of the chunks that the fleet had already. */
  readonly bytesSkipped: number;
  readonly seconds: number;
}

export interface UploadDoneEvent extends UploadReport {
  readonly event: 'done';
}

export type UploadEvent =
  | UploadReadingEvent
  | UploadStartEvent
  | StoreEvent
  | UploadProgressEvent
  | UploadNoticeEvent
  | UploadDoneEvent;
