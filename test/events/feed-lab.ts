import { EventEmitter, once } from 'node:events';

import type { Audience } from '../../src/core/api/events.ts';
import { appendEvents } from '../../src/database/append-events.ts';
import type { EventFeed, RunningFeed } from '../../src/events/event-feed.ts';
import type { StreamedEvent } from '../../src/events/stream-lines.ts';
import { FileServer } from '../information-server/servers/file-server.ts';
import type { TestServer } from '../information-server/start.ts';

/** A fleet whose events a test writes, and file servers that are told them. */
export interface FeedLab extends AsyncDisposable {
  readonly fleet: TestServer;
  /** A registered file server. */
  join(name: string, zone?: string): Promise<FileServer>;
  feedOf(server: FileServer): EventFeed;
  /** Waits until something is so in the database. */
  until(isSo: () => Promise<boolean>): Promise<void>;
}

/** Looks again whenever something was written, and now and then. */
export async function untilSo({ database }: TestServer, isSo: () => Promise<boolean>): Promise<void> {
  const late = AbortSignal.timeout(30_000);
  while (!(await isSo())) {
    late.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const forget = database.onEvents(resolve);
    const timer = setTimeout(resolve, 50);
    await promise;
    clearTimeout(timer);
    forget();
  }
}

/** Writes events, one transaction each, as a change would. */
export async function tell(
  { fleet: { database } }: Pick<FeedLab, 'fleet'>,
  names: readonly string[],
  audience: Audience = 'all',
): Promise<void> {
  for (const name of names) {
    const event = { kind: 'file.renamed', audience, data: { name } };
    await database.transaction((db) => appendEvents(db, database.kind, [event], Date.now()));
  }
}

/** `series('a', 3)`: a-1, a-2, a-3. */
export function series(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
}

/** What a file server was told of, each once; a second process of it goes on where the first one stopped. */
export class Told extends EventEmitter {
  readonly names: string[] = [];
  readonly events: StreamedEvent[] = [];
  readonly gaveUp: string[] = [];
  position: number;
  /** Comes before the work of each event; throws to fail it. */
  before: (event: StreamedEvent) => Promise<void> = async () => undefined;
  #running: RunningFeed | undefined;

  constructor(position: number) {
    super();
    this.position = position;
  }

  start(feed: EventFeed): void {
    this.#running = feed.subscribe({
      after: this.position,
      handle: async (event) => {
        await this.before(event);
        this.events.push(event);
        this.names.push(String(event.data['name']));
        this.emit('event');
      },
      done: (position) => {
        this.position = position;
        this.emit('event');
      },
      gaveUp: (event) => {
        this.gaveUp.push(String(event.data['name']));
        this.emit('event');
      },
      state: (state) => this.emit(state),
    });
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = undefined;
  }

  /** Resolves once it is so; it is looked at after each event. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await once(this, 'event', { signal: AbortSignal.timeout(30_000) });
  }
}
