import type { ChunkLayout } from '../core/chunks.ts';
import { formatRange } from '../core/ranges.ts';
import type { Action, Fault } from '../core/scheduler/types.ts';
import type { Connection, Receiver, ResponseHead } from '../transport/connection.ts';
import type { ChunkWriter, Sink } from './destinations/sink.ts';
import { checkPart, checkUnchanged, refuseEncoding, refuseStatus, validators } from './sources/answer.ts';
import { SourceError, sourceError } from './sources/fault.ts';
import { Refusal } from './sources/refusal.ts';
import type { Introduction, Source } from './sources/source.ts';

/** What a lane tells, and asks, the transfer that runs it. */
export interface LaneHost {
  readonly layout: ChunkLayout;
  readonly sink: Sink;
  readonly now: () => number;
  /** Most bytes to take in one read. */
  readonly mostPiece: number;
  headArrived(lane: LaneRun): void;
  /** All bytes of the chunk are here; `writer` tells whether they are right. */
  landed(lane: LaneRun, chunk: number, writer: ChunkWriter): void;
  /** Bytes came, for limits. */
  took(bytes: number): void;
  /** Bytes came that are not wanted: the source is not silent. */
  skipped(lane: LaneRun): void;
  /** We do not read from this lane for want of memory. */
  hold(lane: LaneRun, held: boolean): void;
  failed(error: unknown): void;
}

/** Ends a request whose rest is not wanted. */
class Enough extends Error {}

type Fetch = Extract<Action, { type: 'fetch' }>;

/** One request of one source: bytes go from the connection into the sink's memory, chunk by chunk. */
export class LaneRun implements Receiver {
  readonly id: number;
  readonly source: Source;
  readonly slot: number;
  readonly hedge: boolean;
  /** The span that was asked for, in chunks. */
  readonly from: number;
  readonly to: number;
  readonly askedAt: number;
  /** Bytes that the scheduler was not told of yet. */
  unreported = 0;
  readonly #host: LaneHost;
  readonly #asked: { readonly start: number; readonly end: number };
  readonly #introduction: Introduction;
  readonly #connection: Connection;
  /** Where the request goes: the source may be led elsewhere meanwhile. */
  readonly #url: URL;
  /** The source cannot be asked for parts: it begins at byte 0, and what was not asked for is dropped. */
  readonly #whole: boolean;
  #to: number;
  #chunk: number;
  #writer: ChunkWriter | undefined;
  /** Bytes of the chunk under way that are still to come. */
  #left: number;
  /** Bytes of a whole file that come before the span. */
  #skip: number;
  #dropped: Uint8Array | undefined;
  #held = false;
  #paused = false;
  /** What the source says instead of content. */
  #refusal: Refusal | undefined;

  constructor(host: LaneHost, source: Source, introduction: Introduction, action: Fetch) {
    const { layout } = host;
    this.#host = host;
    this.id = action.lane;
    this.source = source;
    this.slot = action.slot;
    this.hedge = action.hedge;
    this.from = action.from;
    this.to = action.to;
    this.askedAt = host.now();
    this.#introduction = introduction;
    this.#connection = source.connection(action.slot);
    this.#url = source.target;
    this.#whole = !introduction.ranges;
    this.#asked = { start: layout.start(action.from), end: layout.start(action.to) };
    this.#to = action.to;
    this.#chunk = action.from;
    this.#left = layout.bytes(action.from);
    this.#skip = this.#whole ? this.#asked.start : 0;
  }

  /** Sends the request; gives the fault that ended it, if one did, once nothing of a broken chunk is written any more. */
  async run(): Promise<{ fault: Fault; error: SourceError } | undefined> {
    const { source } = this;
    const url = this.#url;
    const range = this.#whole ? {} : { range: formatRange(this.#asked) };
    let failure: SourceError | undefined;
    try {
      await this.#connection.send(
        { method: 'GET', url, headers: { ...source.headersFor(url), ...range } },
        this,
      );
      if (this.#refusal !== undefined) failure = this.#refusal.error;
      else if (this.#chunk < this.#to) {
        failure = new SourceError({ kind: 'connect' }, `${source.shown} sends less than was asked for`);
      }
    } catch (error) {
      if (!(error instanceof Enough)) failure = this.#refusal?.error ?? sourceError(error);
      if (failure === undefined && !(error instanceof Enough)) this.#host.failed(error);
    }
    const broken = this.#writer;
    this.#writer = undefined;
    if (broken !== undefined) await broken.abandon();
    return failure === undefined ? undefined : { fault: failure.fault, error: failure };
  }

  /** The source was led elsewhere since this was asked. */
  get outdated(): boolean {
    return this.#url !== this.source.target;
  }

  /** It waits for memory. */
  get held(): boolean {
    return this.#held;
  }

  /** The span now ends before chunk `to`. */
  shorten(to: number): void {
    this.#to = Math.min(this.#to, to);
    if (this.#chunk >= this.#to) this.cancel();
  }

  cancel(): void {
    this.#connection.close(new Enough());
  }

  /** Stops reading for a rate limit, or goes on. */
  pause(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.#connection.pause();
    else if (!this.#held) this.#connection.resume();
  }

  /** It is over: the next request on its connection is not to find it stopped. */
  leave(): void {
    this.#connection.resume();
  }

  head(head: ResponseHead): void {
    const { shown } = this.source;
    this.#refusal = Refusal.of(head, shown);
    if (this.#refusal !== undefined) return;
    if (this.#whole) {
      refuseStatus(head, shown);
      refuseEncoding(head, shown);
      const length = head.headers.get('content-length');
      const size = length === undefined ? this.#host.layout.size : Number(length);
      checkUnchanged({ ...validators(head.headers), size }, this.#introduction, shown);
    } else {
      checkPart(head, this.#asked, this.#introduction, shown);
    }
    this.#host.headArrived(this);
  }

  buffer(): Uint8Array | undefined {
    if (this.#refusal !== undefined) return this.#refusal.buffer();
    if (this.#skip > 0) return this.#scratch(this.#skip);
    // All is here. A body that only the end of the connection ends is not known to be over before that.
    if (this.#chunk >= this.#to) throw new Enough();
    this.#writer ??= this.#host.sink.open(this.#chunk, this.hedge, () => this.#wake());
    const buffer = this.#writer.buffer();
    if (buffer === undefined) {
      this.#held = true;
      this.#host.hold(this, true);
      return undefined;
    }
    const { mostPiece } = this.#host;
    return buffer.length > mostPiece ? buffer.subarray(0, mostPiece) : buffer;
  }

  #scratch(most: number): Uint8Array {
    this.#dropped ??= new Uint8Array(64 * 1024);
    return this.#dropped.subarray(0, Math.min(most, this.#dropped.length));
  }

  #wake(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#host.hold(this, false);
    if (!this.#paused) this.#connection.resume();
  }

  received(length: number): void {
    if (this.#refusal !== undefined) return this.#refusal.received(length);
    if (this.#skip > 0) {
      this.#skip -= length;
      this.#host.took(length);
      this.#host.skipped(this);
      return;
    }
    this.#writer?.received(length);
    this.unreported += length;
    this.#left -= length;
    this.#host.took(length);
    if (this.#left === 0) this.#land();
  }

  #land(): void {
    const chunk = this.#chunk++;
    const writer = this.#writer;
    this.#writer = undefined;
    this.#left = this.#host.layout.bytes(this.#chunk);
    if (writer !== undefined) this.#host.landed(this, chunk, writer);
    // A shortened span: what the source sends from here on is somebody else's to fetch.
    const last = this.#whole ? this.#host.layout.size : this.#asked.end;
    if (this.#chunk >= this.#to && this.#host.layout.start(this.#chunk) < last) throw new Enough();
  }
}
