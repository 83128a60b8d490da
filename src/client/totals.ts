import type { SourceView } from '../core/scheduler/types.ts';
import type { Transfer } from './transfer.ts';

/** What sources did, added up over all transfers of a download: it can take more than one to get a file right. */
export class Totals {
  readonly #past = new Map<number, SourceView>();
  readonly #pastReceived = new Map<number, number>();
  readonly #accused = new Map<number, number>();
  /** Failures before a source was first downloaded from. */
  readonly #unanswered = new Map<number, number>();
  #current: Transfer | undefined;
  #lastBytesAt: number | undefined;

  /** From now on this transfer is counted too. */
  follow(transfer: Transfer): void {
    this.#settle();
    this.#current = transfer;
  }

  /** What a source has done so far, where no transfer counts it. */
  note(view: SourceView, now: number): void {
    this.#past.set(view.source, view);
    this.#pastReceived.set(view.source, view.bytes);
    this.#lastBytesAt = now;
  }

  /** A source could not be asked who it is. */
  failed(source: number): void {
    this.#unanswered.set(source, (this.#unanswered.get(source) ?? 0) + 1);
  }

  /** Requests to the source that ended other than well. */
  failures(source: number): number {
    const view = this.views.find((each) => each.source === source);
    return (view?.failures ?? 0) + (this.#unanswered.get(source) ?? 0);
  }

  /** Wrong chunks of a source that were found out after they had been taken. */
  accuse(source: number, chunks: number): void {
    this.#accused.set(source, (this.#accused.get(source) ?? 0) + chunks);
  }

  /** When bytes came last. */
  get lastBytesAt(): number | undefined {
    return this.#current?.lastBytesAt ?? this.#lastBytesAt;
  }

  get views(): SourceView[] {
    const views = new Map(this.#past);
    for (const now of this.#current?.views() ?? []) views.set(now.source, added(views.get(now.source), now));
    for (const [source, chunks] of this.#accused) {
      const view = views.get(source);
      if (view !== undefined) views.set(source, { ...view, badChunks: view.badChunks + chunks });
    }
    return [...views.values()];
  }

  /** Bytes from each source. */
  get received(): ReadonlyMap<number, number> {
    const received = new Map(this.#pastReceived);
    for (const [source, bytes] of this.#current?.received ?? []) {
      received.set(source, (received.get(source) ?? 0) + bytes);
    }
    return received;
  }

  #settle(): void {
    if (this.#current === undefined) return;
    this.#lastBytesAt = this.lastBytesAt;
    for (const [source, bytes] of this.received) this.#pastReceived.set(source, bytes);
    for (const view of this.#current.views()) {
      this.#past.set(view.source, { ...added(this.#past.get(view.source), view), rate: 0, busy: 0 });
    }
    this.#current = undefined;
  }
}

/** A source as it is now, with what it did before. */
function added(before: SourceView | undefined, now: SourceView): SourceView {
  if (before === undefined) return now;
  return {
    ...now,
    bytes: before.bytes + now.bytes,
    busySeconds: before.busySeconds + now.busySeconds,
    failures: before.failures + now.failures,
    badChunks: before.badChunks + now.badChunks,
  };
}
