import type { Writable } from 'node:stream';

import type { ErrorCode } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import type { BadChunk, HeaderFields, SourceFeed } from './live-sources.ts';

/** How a finished file was checked: every chunk against a manifest, the whole against one digest, or not at all. */
export type Verification = 'chunks' | 'sha256' | 'none';

/** What a caller may say about a download. Unknown keys are refused. */
export interface DownloadOptions {
  /**
   * A file, a folder (one that exists, or a path with a trailing slash), or a stream that gets the bytes in order.
   * Default: the current folder, under the name that the sources give.
   */
  output?: string | Writable;
  /** File name where `output` is a folder or not given. Default: what the sources give. */
  name?: string;
  /** SHA-256 of the whole file, hex, where it is known. */
  sha256?: string;
  /** Chunk digests: a URL, a path, or a manifest that was read before. Default: what the sources offer. */
  manifest?: string | URL | Manifest;
  /** Most connections to one source, 1 to 64. Default: found out, at most 16. */
  connections?: number;
  /** Most bytes a second over all sources together. Default: none. */
  limit?: number;
  /**
   * Seconds without a byte from any source after which the download gives up; `Infinity` never gives up.
   * Default: 60 until the first byte, never after it.
   */
  timeout?: number;
  /** Sent with every request; a function is asked anew for each. */
  headers?: HeaderFields;
  /** Sources that come, go and change while the download runs. With it, there may be none at first. */
  feed?: SourceFeed;
  /**
   * Called when a source answers 401 with the code `HW_TOKEN_EXPIRED`, once for all sources that do: new credentials are
   * got, and `headers` give them from then on. False, or an error: there are none, and those sources are banned. Default:
   * they are banned at once.
   */
  refresh?: () => Promise<boolean>;
  /** Called when a source has sent a chunk that does not match the manifest. Must not throw. */
  onBadChunk?: (bad: BadChunk) => void;
  /** PEM texts. */
  tls?: { ca?: string; cert?: string; key?: string; insecure?: boolean };
  /** Proxies: `true` (default) follows HTTP_PROXY, HTTPS_PROXY and NO_PROXY, `false` goes straight. */
  proxy?: boolean;
  /** Go on from an earlier run's part file. Default true. */
  resume?: boolean;
  /** Replace an output that exists, and a part file that does not fit. Default false. */
  force?: boolean;
  /** Bytes of file content held in memory at once, at least 8 MiB. Default 24 MiB for a file, 64 MiB for a stream. */
  memory?: number;
  /** Seconds between `progress` events. Default 1. */
  interval?: number;
  /** Stops the download; what is there is kept. */
  signal?: AbortSignal;
  /** Called for everything that happens, in order. Must not throw. */
  onEvent?: (event: DownloadEvent) => void;
}

/**
 * - `probing`: not asked yet, or the first answer is awaited
 * - `running`: sends, or may be asked at any time
 * - `waiting`: away for now; asked again at a known time, or when the feed brings it back
 * - `banned`: not asked again in this download
 */
export type SourceState = 'probing' | 'running' | 'waiting' | 'banned';

export interface SourceProgress {
  /** Number of the source in the order given or joined, from 1. */
  readonly id: number;
  readonly url: string;
  /** As given with the source. */
  readonly name?: string;
  readonly zone?: string;
  readonly state: SourceState;
  /** Bytes of the file it gave in this run. */
  readonly bytes: number;
  /** Its part of all bytes of this run, 0 to 1. */
  readonly share: number;
  /** Bytes a second now. */
  readonly rate: number;
  /** Connections open now. */
  readonly connections: number;
}

export interface StartEvent {
  readonly event: 'start';
  /** The output's path, or "-" for a stream. */
  readonly output: string;
  /** Bytes; 0 where the only source does not say. */
  readonly size: number;
  /** Bytes; 0 where the only source does not say how long the file is. */
  readonly chunkSize: number;
  readonly chunks: number;
  /** Bytes that an earlier run left. */
  readonly resumedBytes: number;
  /** What will be verified as far as is known now. */
  readonly verification: Verification;
}

/** A source changed its state. */
export interface SourceEvent {
  readonly event: 'source';
  readonly id: number;
  readonly url: string;
  /** As given with the source. */
  readonly name?: string;
  readonly zone?: string;
  readonly state: SourceState;
  /** Why, when it is `waiting` or `banned`. */
  readonly code?: ErrorCode;
  readonly message?: string;
  /** Seconds until it is asked again, when it is `waiting`. */
  readonly retryIn?: number;
}

export interface ProgressEvent {
  readonly event: 'progress';
  /** Seconds since the start. */
  readonly seconds: number;
  /** Bytes of the file that are there, those of an earlier run among them. */
  readonly bytes: number;
  /** The same as `bytes` where the only source does not say how long the file is. */
  readonly size: number;
  /** Bytes a second over the last seconds. */
  readonly rate: number;
  /** Seconds left at this rate; undefined while nothing flows. */
  readonly secondsLeft?: number;
  readonly sources: readonly SourceProgress[];
}

/** Something the person should know: it waits, nothing is verified, a liar was found. */
export interface NoticeEvent {
  readonly event: 'notice';
  readonly message: string;
  readonly code?: ErrorCode;
}

export interface DoneEvent extends DownloadReport {
  readonly event: 'done';
}

export type DownloadEvent = StartEvent | SourceEvent | ProgressEvent | NoticeEvent | DoneEvent;

export interface SourceReport {
  readonly id: number;
  readonly url: string;
  /** As given with the source. */
  readonly name?: string;
  readonly zone?: string;
  /** Bytes of the finished file that it gave. */
  readonly bytes: number;
  /** Its part of the bytes of this run, 0 to 1. */
  readonly share: number;
  /** Bytes a second while it was sending. */
  readonly rate: number;
  /** Connections opened over the whole run. */
  readonly connections: number;
  /** Requests that ended other than well. */
  readonly failures: number;
  readonly badChunks: number;
  /** Why it was not asked again, where it was banned. */
  readonly ban?: { readonly code: ErrorCode; readonly message: string };
}

/** Who sent what. */
export interface DownloadReport {
  readonly output: string;
  readonly size: number;
  readonly seconds: number;
  /** Bytes of this run a second, on average. */
  readonly rate: number;
  readonly verified: Verification;
  /** Digest of the whole, where it is known. */
  readonly sha256?: string;
  readonly resumedBytes: number;
  /** Bytes received that are not in the file: sent twice, wrong, or cut off. */
  readonly wastedBytes: number;
  /** Seconds from the first source that had nothing left to do to the end. */
  readonly tailSeconds: number;
  readonly sources: readonly SourceReport[];
}
