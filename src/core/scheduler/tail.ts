import type { Ledger } from './ledger.ts';
import { laneRate, millisecondsLeft } from './span.ts';
import { busyLanes, offers, type Lane, type Source } from './state.ts';

/** What a source that found nothing missing does: take over the far end of a span, or fetch what another still owes. */
export type TailWork =
  | { readonly type: 'steal'; readonly victim: Lane; readonly from: number; readonly to: number }
  | { readonly type: 'hedge'; readonly victim: Lane; readonly chunk: number }
  /** The lane is hopeless, and little of its chunk is here: its work is better given to another. */
  | { readonly type: 'drop'; readonly victim: Lane };

/** A hedge must be expected to end in this part of the time that its rival still needs. */
const HEDGE_GAIN = 0.7;
/** Milliseconds below which a rival is left to finish by itself. */
const LEAST_HEDGE = 20;

/** A lane is dropped when another source needs less than this part of the time that it still needs, ... */
const DROP_GAIN = 0.3;
/** ... no more than this part of its chunk is here, ... */
const DROP_PART = 0.5;
/** ... and it has had this many milliseconds to show what it can. */
const LEAST_TRY = 100;

/** Milliseconds that a span must still need for a source that was not measured yet to take part. */
const LEAST_FOR_UNKNOWN = 500;
/** How much faster than the best known source one that was not measured yet is taken to be. */
const OPTIMISM = 2;

/** A lane and the milliseconds that it still needs. */
export interface Span {
  readonly lane: Lane;
  readonly left: number;
}

/** What is under way, what ends last first. */
export function spansUnderWay(sources: readonly Source[], ledger: Ledger, now: number): Span[] {
  const spans: Span[] = [];
  for (const { slots } of sources) {
    for (const lane of slots) {
      // A hedge counts once its rival is gone and the chunk is its own.
      if (lane === undefined || lane.cancelled || lane.next >= lane.to || !ledger.isOwner(lane)) continue;
      spans.push({ lane, left: millisecondsLeft(lane, ledger, now) });
    }
  }
  return spans.sort((a, b) => b.left - a.left);
}

/** The best tail work for `source`, or undefined when nothing it could do would end the download sooner. */
export function tailWork(
  source: Source,
  sources: readonly Source[],
  spans: readonly Span[],
  ledger: Ledger,
  now: number,
  budget: { readonly waste: number; readonly hedge: number },
): TailWork | undefined {
  if (spans.length === 0) return undefined;
  const known = laneRate(source, busyLanes(source).length + 1);
  // A source that was not measured yet is tried where much time is to be won; else those that were will do.
  if (known === undefined && (spans[0]?.left ?? 0) < LEAST_FOR_UNKNOWN) return undefined;
  const rate = known ?? assumedRate(sources, ledger);
  const wait = source.leastWait ?? 0;
  const stolen = steal(source, rate, wait, spans, ledger);
  // Only who has nothing else to do spends the budget, and only who did not fail lately.
  if (stolen !== undefined || busyLanes(source).length > 0 || source.trial) return stolen;
  return (
    drop(source, wait, spans, ledger, now, budget.waste) ??
    hedge(source, rate, wait, spans, ledger, budget.hedge)
  );
}

/** Bytes a second of a source that was not measured yet: worth a try, so better than the best; or a chunk a second. */
function assumedRate(sources: readonly Source[], ledger: Ledger): number {
  const best = Math.max(0, ...sources.map(({ meter }) => meter.rate ?? 0));
  return best === 0 ? ledger.layout.chunkSize : best * OPTIMISM;
}

function steal(
  source: Source,
  rate: number,
  wait: number,
  spans: readonly Span[],
  ledger: Ledger,
): TailWork | undefined {
  const { layout } = ledger;
  for (const { lane, left } of spans) {
    if (lane.source === source) continue;
    // The chunk under way stays where it is, however little of it is here.
    let first = lane.to;
    while (first > lane.next + 1 && offers(source, first - 1)) first--;
    if (first >= lane.to) continue;
    const theirs = left / Math.max(1, layout.bytes(lane.next, lane.to) - lane.partial);
    // As much as both need the same time for; one chunk too when that ends sooner than leaving it there.
    let from = lane.to;
    while (from > first) {
      const mine = wait + (layout.bytes(from - 1, lane.to) * 1000) / rate;
      const remaining = (layout.bytes(lane.next, from - 1) - lane.partial) * theirs;
      if (mine > (from === lane.to ? left : remaining)) break;
      from--;
    }
    if (from < lane.to) return { type: 'steal', victim: lane, from, to: lane.to };
  }
  return undefined;
}

function hedge(
  source: Source,
  rate: number,
  wait: number,
  spans: readonly Span[],
  ledger: Ledger,
  budget: number,
): TailWork | undefined {
  for (const { lane, left } of spans) {
    if (left < LEAST_HEDGE) return undefined;
    const chunk = lane.next;
    if (lane.source === source || ledger.isHedged(chunk) || !offers(source, chunk)) continue;
    const bytes = ledger.layout.bytes(chunk);
    if (bytes > budget) continue;
    if (wait + (bytes * 1000) / rate < left * HEDGE_GAIN) return { type: 'hedge', victim: lane, chunk };
  }
  return undefined;
}

/** Costs what is here of the chunk, where a hedge can cost all of it. */
function drop(
  source: Source,
  wait: number,
  spans: readonly Span[],
  ledger: Ledger,
  now: number,
  budget: number,
): TailWork | undefined {
  const rate = laneRate(source, busyLanes(source).length + 1);
  if (rate === undefined) return undefined;
  for (const { lane, left } of spans) {
    if (lane.source === source || ledger.isHedged(lane.next) || !offers(source, lane.next)) continue;
    const bytes = ledger.layout.bytes(lane.next);
    if (lane.partial > Math.min(budget, bytes * DROP_PART) || now - lane.startedAt < LEAST_TRY) continue;
    if (wait + (bytes * 1000) / rate < left * DROP_GAIN) return { type: 'drop', victim: lane };
  }
  return undefined;
}
