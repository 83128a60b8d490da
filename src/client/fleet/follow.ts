import { setTimeout as sleep } from 'node:timers/promises';

import type { FleetEvent } from '../../core/api/events.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { FleetClient } from './fleet-client.ts';
import { sentEvents } from './sse.ts';

/** Milliseconds until it is asked again after a stream broke off. */
const FIRST_PAUSE = 250;
const MOST_PAUSE = 10_000;

/**
 * What happens in the fleet, resumed by position wherever the stream breaks off, at another information server too.
 *
 * @throws HeadwaterError when asking again is of no use: the session is over, the account may not
 */
export async function* follow(
  client: FleetClient,
  { after, signal }: { after?: number | undefined; signal?: AbortSignal | undefined },
): AsyncGenerator<FleetEvent> {
  let position = after;
  let pause = FIRST_PAUSE;
  const over = (): boolean => signal?.aborted === true;
  while (!over()) {
    try {
      const body = await client.stream('v1/events', { query: { after: position }, signal });
      for await (const { data } of sentEvents(body)) {
        const event = JSON.parse(data) as FleetEvent;
        if (position !== undefined && event.position <= position) continue;
        position = event.position;
        pause = FIRST_PAUSE;
        yield event;
      }
    } catch (error) {
      if (over()) return;
      if (error instanceof HeadwaterError && error.remedy !== 'wait') throw error;
    }
    await sleep(pause, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    pause = Math.min(MOST_PAUSE, pause * 2);
  }
}
