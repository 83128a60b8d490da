import { setTimeout as sleep } from 'node:timers/promises';

import type { FleetEvent } from '../../core/api/events.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { FleetClient } from './fleet-client.ts';
import { sentEvents } from './sse.ts';

/** Milliseconds until it is asked again after a stream broke off; doubles up to the most. */
const FIRST_PAUSE = 250;
const MOST_PAUSE = 10_000;
/** Milliseconds without a word after which a stream is given up: information servers send one every 5 s. */
const SILENT = 15_000;
/** Events asked for at once. */
const PAGE = 1_000;

export interface FollowOptions {
  /** Position of the last event that is known. Default: what happens from now on. */
  readonly after?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What happens in the fleet, resumed by position wherever the stream breaks off, at another information server too.
 *
 * @throws HeadwaterError when asking again is of no use: the session is over, the account may not
 */
export async function* follow(
  client: FleetClient,
  { after, signal }: FollowOptions,
): AsyncGenerator<FleetEvent> {
  let position = after;
  let pause = FIRST_PAUSE;
  const over = (): boolean => signal?.aborted === true;
  while (!over()) {
    const silent = new AbortController();
    const timer = setTimeout(() => silent.abort(), SILENT);
    try {
      const signals = signal === undefined ? silent.signal : AbortSignal.any([signal, silent.signal]);
      const body = await client.stream('v1/events', { query: { after: position }, signal: signals });
      for await (const sent of sentEvents(body)) {
        timer.refresh();
        pause = FIRST_PAUSE;
        if ('comment' in sent) {
          position ??= startIn(sent.comment);
          continue;
        }
        const event = JSON.parse(sent.data) as FleetEvent;
        if (position !== undefined && event.position <= position) continue;
        position = event.position;
        yield event;
      }
    } catch (error) {
      if (over()) return;
      const hopeless = error instanceof HeadwaterError && error.remedy !== 'wait';
      if (hopeless && !silent.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
    await sleep(pause, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    pause = Math.min(MOST_PAUSE, pause * 2);
  }
}

/** `from 1200`: where a stream begins, so that nothing is lost that happens before its first event. */
function startIn(comment: string): number | undefined {
  const position = /^from (\d{1,15})$/.exec(comment.trim())?.[1];
  return position === undefined ? undefined : Number(position);
}

/** What has happened: after a position everything that is still kept, else the newest `most`. */
export async function* happened(
  client: FleetClient,
  { after, signal, most }: FollowOptions & { readonly most: number },
): AsyncGenerator<FleetEvent> {
  let query: Record<string, number> = after === undefined ? { limit: most } : { after, limit: PAGE };
  for (;;) {
    const page = { follow: 0, ...query };
    const { items, next } = await client.ask<{ items: FleetEvent[]; next: number | null }>(
      'GET',
      'v1/events',
      {
        query: page,
        signal,
      },
    );
    yield* items;
    if (next === null || after === undefined) return;
    query = { after: next, limit: PAGE };
  }
}
