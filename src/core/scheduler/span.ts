import type { Ledger } from './ledger.ts';
import { quietFor } from './silence.ts';
import { busyLanes, offers, type Lane, type Source } from './state.ts';

/** A span is worth about this many seconds of its source's own rate: requests are few and little is at stake. */
const SPAN_SECONDS = 1;
/**
 * Most bytes in a span of a near and fast source: keeps the front of the file together, so that what chases it (a
 * digest of the whole, output in order) is never far behind.
 */
const MOST_SPAN_BYTES = 32 * 1024 * 1024;
/** But never so few that the wait for an answer shows: a span lasts this many times its source's usual wait. */
const WAITS_PER_SPAN = 20;
/** A span grows by at most this factor over the one before, while a rate is still being learnt. */
const GROWTH = 4;
/** A lane takes at most this part of its fair share of what is missing, so that all end together. */
const FAIR_PART = 0.5;
/** Unless the wait for its answer would then show: a span within the fair share lasts this many waits where it can. */
const WAITS_PER_LAST_SPAN = 4;
/** Milliseconds of flow after which a lane's own rate is believed. */
const LEAST_OBSERVED = 50;
/** Milliseconds without bytes that are nothing unusual. */
const LEAST_QUIET = 300;

/** Bytes a second that one lane of `source` can be expected to bring; undefined while nothing is known. */
export function laneRate(source: Source, lanes: number): number | undefined {
  const rate = source.meter.rate;
  return rate === undefined ? undefined : rate / Math.max(1, lanes);
}

/** How many chunks to ask of `source` in its next span, at least one. */
export function spanChunks(source: Source, sources: readonly Source[], ledger: Ledger): number {
  const rate = laneRate(source, Math.max(source.target, busyLanes(source).length + 1));
  if (rate === undefined || source.trial) return 1;
  let all = 0;
  for (const each of sources) if (each.state === 'running') all += each.meter.rate ?? 0;
  const perWait = (rate * (source.leastWait ?? 0)) / 1000;
  const wanted = Math.max(Math.min(rate * SPAN_SECONDS, MOST_SPAN_BYTES), perWait * WAITS_PER_SPAN);
  const share = ledger.missingBytes * (rate / Math.max(all, rate));
  const fair = Math.max(share * FAIR_PART, Math.min(share, perWait * WAITS_PER_LAST_SPAN));
  const chunks = Math.floor(Math.min(wanted, fair) / ledger.layout.chunkSize);
  return Math.max(1, Math.min(chunks, Math.max(1, source.lastSpan) * GROWTH));
}

/**
 * Near the end a slow source should leave the last chunks to the fast ones: it takes `chunk` only when the others that
 * hold it could not have brought everything that is missing by the time it would have brought this one. Who would bring
 * it first never declines.
 */
export function worthTaking(
  chunk: number,
  source: Source,
  sources: readonly Source[],
  ledger: Ledger,
  now: number,
): boolean {
  const rate = laneRate(source, busyLanes(source).length + 1);
  if (rate === undefined || source.trial) return true;
  const { layout } = ledger;
  const bytes = layout.bytes(chunk);
  const mine = bytes / rate + (source.leastWait ?? 0) / 1000;
  let missing = Math.ceil(ledger.missingBytes / layout.chunkSize);
  for (const each of sources) {
    if (each === source || each.state !== 'running' || each.trial || !offers(each, chunk)) continue;
    const theirs = each.meter.rate;
    if (theirs === undefined || quiet(each, now)) continue;
    let owed = 0;
    for (const held of each.slots) if (held !== undefined) owed += bytesLeft(held, ledger);
    const first = (owed + bytes) / theirs + (each.leastWait ?? 0) / 1000;
    if (first < mine) missing -= 1 + Math.floor(((mine - first) * theirs) / layout.chunkSize);
  }
  return missing > 0;
}

/** All its lanes have brought nothing for longer than they usually take: nobody knows when they will. */
function quiet(source: Source, now: number): boolean {
  const lanes = busyLanes(source);
  const usual = Math.max(LEAST_QUIET, source.gap * 2, source.mostWait * 2);
  return lanes.length > 0 && lanes.every((lane) => quietFor(lane, now) > usual);
}

/** Bytes that the lane has still to bring. */
export function bytesLeft(lane: Lane, ledger: Ledger): number {
  return Math.max(0, ledger.layout.bytes(lane.next, Math.max(lane.next, lane.to)) - lane.partial);
}

/**
 * Milliseconds until the lane has brought its span. Who has been quiet for long is expected to stay so for as long
 * again.
 */
export function millisecondsLeft(lane: Lane, ledger: Ledger, now: number): number {
  const own = lane.meter.busyTime < LEAST_OBSERVED ? undefined : lane.meter.rate;
  const rate = own ?? laneRate(lane.source, busyLanes(lane.source).length);
  const left = rate === undefined ? 0 : (bytesLeft(lane, ledger) * 1000) / rate;
  return Math.max(left, quietFor(lane, now));
}
