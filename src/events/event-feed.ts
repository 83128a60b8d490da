import type { StreamedEvent } from './stream-lines.ts';

/** What a file server is told, and what it does with it. */
export interface EventConsumer {
  /** Position up to which everything was done when this process began. */
  readonly after: number;
  /**
   * The work that an event asks for. The same event can come again, and an older one after a newer: both must end the
   * same. An error has it tried again, `MOST_DELIVERIES` times in all.
   */
  readonly handle: (event: StreamedEvent, signal: AbortSignal) => Promise<void>;
  /** Called with a position up to which all is done: kept, it is what `after` is next time. It only grows. */
  readonly done: (position: number) => void;
  /** An event was given up after `MOST_DELIVERIES` failures. Operators are told by the fleet; this is for the log. */
  readonly gaveUp: (event: StreamedEvent, cause: unknown) => void;
  /** Whether events come now; with what went wrong where it is known. */
  readonly state?: (state: 'connected' | 'away', cause?: unknown) => void;
}

/** Times that an event is handed to its work before it is given up. */
export const MOST_DELIVERIES = 5;

/** A feed that runs. */
export interface RunningFeed {
  /** Takes no more events, and resolves once the one under way is done. */
  close(): Promise<void>;
}

/** Where a file server has its events from: straight from an information server, or from a broker. */
export interface EventFeed {
  /** Begins. It reconnects by itself, for ever. */
  subscribe(consumer: EventConsumer): RunningFeed;
}
