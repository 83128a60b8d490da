import { setTimeout as sleep } from 'node:timers/promises';

import { MOST_DELIVERIES, type EventConsumer } from './event-feed.ts';
import { OncePerEvent } from './once-per-event.ts';
import type { StreamedEvent } from './stream-lines.ts';

/** Milliseconds until work that failed is tried again, doubled each time. */
const FIRST_REST = 200;

/** What came of an event: its work was done (now or before), it was given up, or it was stopped before either. */
export type Outcome =
  | { readonly is: 'done' | 'stopped' }
  | { readonly is: 'given-up'; readonly cause: unknown };

/** Does the work of events, one after the other: each once, failing work several times. */
export class Deliveries {
  readonly #consumer: EventConsumer;
  readonly #signal: AbortSignal;
  readonly #once = new OncePerEvent();

  constructor(consumer: EventConsumer, signal: AbortSignal) {
    this.#consumer = consumer;
    this.#signal = signal;
  }

  async deliver(event: StreamedEvent): Promise<Outcome> {
    for (let delivery = 1; ; delivery++) {
      if (this.#signal.aborted) return { is: 'stopped' };
      try {
        await this.#once.run(event.id, () => this.#consumer.handle(event, this.#signal));
        return { is: 'done' };
      } catch (cause) {
        if (this.#signal.aborted) return { is: 'stopped' };
        if (delivery >= MOST_DELIVERIES) {
          this.#once.giveUp(event.id);
          this.#consumer.gaveUp(event, cause);
          return { is: 'given-up', cause };
        }
        const rest = FIRST_REST * 2 ** (delivery - 1);
        await sleep(rest, undefined, { signal: this.#signal }).catch(() => undefined);
      }
    }
  }
}
