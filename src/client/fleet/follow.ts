import { setTimeout as sleep } from 'node:timers/promises';

import type { FleetEvent } from '../../core/api/events.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { FleetClient } from './fleet-client.ts';
import { sentEvents } from './sse.ts';

/** Milliseconds until it is asked again after a stream broke off. */
const FIRST_PAUSE = 250;
const MOST_PAUSE = 10_000;

/** Milliseconds without an event after which all that had happened before has been told. */
const SETTLED = 1_000;

export interface FollowOptions {
  /** Position of the last event that is known. Default: what happens from now on. */
  readonly after?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Ends when what has happened is told. Default false. */
  readonly past?: boolean;
}

/**
 * What happens in the fleet, resumed by position wherever the stream breaks off, at another information server too.
 *
 * @throws HeadwaterError when asking again is of no use: the session is over, the account may not
 */
export async function* follow(
  client: FleetClient,
  { after, signal, past = false }: FollowOptions,
): AsyncGenerator<FleetEvent> {
  let position = after;
  let pause = FIRST_PAUSE;
  const over = (): boolean => signal?.aborted === true;
  while (!over()) {
    const settled = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const wait = (): void => {
      clearTimeout(timer);
      if (past) timer = setTimeout(() => settled.abort(), SETTLED);
    };
    try {
      const signals = signal === undefined ? settled.signal : AbortSignal.any([signal, settled.signal]);
      const body = await client.stream('v1/events', { query: { after: position }, signal: signals });
      wait();
      for await (const { data } of sentEvents(body)) {
        const event = JSON.parse(data) as FleetEvent;
        if (position !== undefined && event.position <= position) continue;
        position = event.position;
        pause = FIRST_PAUSE;
        yield event;
        wait();
      }
    } catch (error) {
      if (over() || settled.signal.aborted) return;
      if (error instanceof HeadwaterError && error.remedy !== 'wait') throw error;
    } finally {
      clearTimeout(timer);
    }
    await sleep(pause, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    pause = Math.min(MOST_PAUSE, pause * 2);
  }
}
