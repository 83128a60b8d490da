import type { Bitmap } from '../bitmap.ts';
import type { ChunkLayout } from '../chunks.ts';

/**
 * The scheduler is told what happened and when, and answers with what to do. It holds no socket, file, clock or
 * randomness of its own. Times are milliseconds on any clock that never runs backwards.
 *
 * A *slot* is a connection of a source, counted from 0. A *lane* is one request on a slot: a number that is never
 * used twice. Chunks go missing -> owed (a lane fetches it) -> landed (all its bytes are here) -> done (verified), or
 * back to missing.
 */
export interface SchedulerOptions {
  readonly layout: ChunkLayout;
  /** Chunks that an earlier run left; copied. */
  readonly done?: Bitmap;
  /** Most connections to one source. Default 16. */
  readonly mostConnections?: number;
  /** True: open `mostConnections` to every source at once rather than finding out. Default false. */
  readonly fixedConnections?: boolean;
  /** True: a span is all that is missing from where it begins; for a source that cannot be asked for parts. */
  readonly wholeFile?: boolean;
  /** Bytes that hedging may fetch twice. Default: 1 % of the file, and at least two chunks. */
  readonly wasteBudget?: number;
  /** Longest chunk, in bytes, that there is memory for to hedge. Default: any. */
  readonly mostHedge?: number;
  /** Gives a number in [0, 1); used to spread retries. */
  readonly random: () => number;
}

/** Why a lane ended other than well, or why a source cannot be asked. The table in faults.ts says what follows. */
export type FaultKind =
  | 'connect' // refused, unreachable, reset, closed before the body was whole
  | 'silent' // no bytes for a few times what this source usually takes
  | 'unavailable' // 429 or 5xx
  | 'protocol' // not HTTP, header too long, encoded body
  | 'not-found' // 404, 410
  | 'not-allowed' // 401, 403, 407
  | 'expired' // 401: the token was good once; it may be renewed
  | 'revoked' // 403: the grant was taken back
  | 'not-here' // 404 of a server that holds a part of the file, and not this one
  | 'withdrawn' // whoever named the source says that it is not to be asked now
  | 'no-ranges' // 200 to a range request
  | 'wrong-range' // Content-Range missing or not what was asked
  | 'changed' // ETag, Last-Modified or size differ from what this source said before
  | 'redirect' // circle, too many, not HTTP
  | 'tls' // certificate not trusted
  | 'disagrees' // holds another file than the other sources
  | 'bad-bytes'; // digest wrong

export interface Fault {
  readonly kind: FaultKind;
  /** Milliseconds that the server asked us to stay away (Retry-After). */
  readonly retryAfter?: number;
}

export type Action =
  /** Ask `source` for chunks `from` to `to` (exclusive) on connection `slot`. A hedge fetches one chunk that another
   * lane also owes, and must not touch the file before its digest is known to be right. */
  | {
      readonly type: 'fetch';
      readonly lane: number;
      readonly source: number;
      readonly slot: number;
      readonly from: number;
      readonly to: number;
      readonly hedge: boolean;
    }
  /** The lane's span now ends at chunk `to`: the rest is somebody else's. The lane has not begun chunk `to`. */
  | { readonly type: 'shorten'; readonly lane: number; readonly to: number }
  /** Drop the lane's request; answer with `laneEnded` once nothing of it is written any more. */
  | { readonly type: 'cancel'; readonly lane: number; readonly reason: 'silent' | 'lost' | 'source-gone' }
  /** The connection in this slot is not needed for now. */
  | { readonly type: 'close'; readonly source: number; readonly slot: number }
  /** The source's state changed. `retryAt` is on the scheduler's clock. */
  | {
      readonly type: 'source';
      readonly source: number;
      readonly state: 'running' | 'waiting' | 'banned';
      readonly fault?: FaultKind;
      readonly retryAt?: number;
    };

/** What a report says of one source. */
export interface SourceView {
  readonly source: number;
  readonly state: 'running' | 'waiting' | 'banned';
  /** Bytes a second lately; 0 when nothing flows. */
  readonly rate: number;
  /** Slots with a request on them. */
  readonly busy: number;
  /** Bytes it sent, and seconds during which it had a request to answer. */
  readonly bytes: number;
  readonly busySeconds: number;
  readonly failures: number;
  readonly badChunks: number;
}

export interface SchedulerApi {
  /** A source that may be asked from now on. `has`: the chunks it holds, all when absent. Ids are the caller's. */
  addSource(source: number, now: number, has?: Bitmap): void;
  /** What a source holds has changed. */
  setHas(source: number, has: Bitmap, now: number): void;
  /** The source is asked nothing new until `recall`. What it sends goes on, or is cut as that of a source that is gone. */
  withdraw(source: number, cut: boolean, now: number): void;
  /** The source may be asked again, at once: also one that had to wait, or was banned. */
  recall(source: number, now: number): void;
  /** What the source waited for has come: it is asked again at once, unless it is withdrawn. */
  retry(source: number, now: number): void;
  /** The source is banned for this download (a fault found outside a lane). Its lanes are cancelled. */
  ban(source: number, fault: FaultKind, now: number): void;
  /** Only chunks below `limit` are handed out; for output in order. Never lowered. */
  setLimit(limit: number): void;
  /** The answer's head is here. */
  headArrived(lane: number, now: number): void;
  /** `bytes` more body bytes came since the last call for this lane; 0: some came that are not of its span. */
  progress(lane: number, bytes: number, now: number): void;
  /** We ourselves do not read from this lane (true) or read again (false): its silence is not the source's. */
  hold(lane: number, held: boolean, now: number): void;
  /** All bytes of `chunk` are here; the next bytes of the lane are the next chunk's. */
  landed(lane: number, chunk: number, now: number): void;
  /** The chunk that `lane` landed is right. */
  verified(lane: number, chunk: number, now: number): void;
  /** The chunk that `lane` landed is wrong: it is missing again and the source is banned. */
  bad(lane: number, chunk: number, now: number): void;
  /** Chunks that were done are missing again, and are not asked of `except`; for finding a liar. */
  reopen(chunks: readonly number[], except: number, now: number): void;
  /** The lane's request is over. No fault: it ended as asked (or was cancelled). Landed chunks stay landed. */
  laneEnded(lane: number, fault: Fault | undefined, now: number): void;
  /** What to do now. To be called after events, and at `wakeAt` at the latest. */
  decide(now: number): Action[];
  /** When `decide` must be called again if nothing happens before. */
  readonly wakeAt: number;
  /** Every chunk is done. */
  readonly finished: boolean;
  /** Chunks that are done. */
  readonly done: Bitmap;
  /** Bytes that came and are not in the file: hedges that lost, parts of chunks that were cut off, wrong chunks. */
  readonly wastedBytes: number;
  /** Time when a source first had nothing left to do until the end; undefined before. */
  readonly tailFrom: number | undefined;
  views(now: number): SourceView[];
}
