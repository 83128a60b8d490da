import { newestPosition } from '../../events/outbox.ts';
import type { Context } from '../context.ts';
import { eventTailOf } from '../events/event-tail-of.ts';

/** A file or a grant that is no more. */
export type Ending = { readonly contentId: number } | { readonly grantId: string };

const KINDS = ['grant.revoked', 'file.deleted'] as const;
/** Milliseconds after which the tail says that there is nothing: nobody here asks. */
const IDLE = 60_000;

/**
 * Tells of grants that are revoked and files that are deleted on any information server, by the outbox that all of them
 * write to.
 */
export class Endings {
  readonly #context: Context;
  readonly #tell: (what: Ending) => void;
  #running: { readonly over: AbortController; readonly begun: Promise<void> } | undefined;

  constructor(context: Context, tell: (what: Ending) => void) {
    this.#context = context;
    this.#tell = tell;
  }

  /** Resolves when whatever ends from now on is heard of. */
  begin(): Promise<void> {
    if (this.#running !== undefined) return this.#running.begun;
    const over = new AbortController();
    const begun = newestPosition(this.#context.database).then(
      (after) => void this.#run(after, over.signal),
      (error: unknown) => {
        // Whoever comes next tries again.
        if (this.#running?.over === over) this.#running = undefined;
        throw error;
      },
    );
    this.#running = { over, begun };
    return begun;
  }

  stop(): void {
    this.#running?.over.abort();
    this.#running = undefined;
  }

  async #run(after: number, signal: AbortSignal): Promise<void> {
    const tail = eventTailOf(this.#context);
    for await (const { events } of tail.follow({ kinds: KINDS }, { after, idle: IDLE, signal })) {
      for (const { kind, data } of events) {
        if (kind === 'grant.revoked') this.#tell({ grantId: String(data['grant']) });
        else await this.#deleted(String(data['file']));
      }
    }
  }

  async #deleted(file: string): Promise<void> {
    try {
      const row = await this.#context.database.queries
        .selectFrom('files')
        .select('content_id')
        .where('id', '=', file)
        .executeTakeFirst();
      if (row !== undefined) this.#tell({ contentId: row.content_id });
    } catch (error) {
      // Those who wait are answered when their time is over.
      this.#context.log.warn({ err: error, file }, 'whose download a deletion ends could not be read');
    }
  }
}
