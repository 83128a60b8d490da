import { appendEvents } from '../../database/append-events.ts';
import type { Context } from '../context.ts';
import { fenced } from '../leadership/leader-task.ts';
import { ORDERED_AGAIN } from './limits.ts';

/** One time of repairing, from the first order to the last: what people are told of it at its end. */
export class Episode {
  readonly #context: Context;
  #since: number | undefined;
  #chunks = 0;
  #bytes = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Orders were given. */
  begin(now: number): void {
    this.#since ??= now;
  }

  /** Orders were done: by a leader before this one as well. */
  add({ chunks, bytes }: { readonly chunks: number; readonly bytes: number }): void {
    this.#chunks += chunks;
    this.#bytes += bytes;
  }

  /** Tells of its end where nothing is under way or due any more. */
  async end(epoch: number, now: number): Promise<void> {
    if (this.#since === undefined && this.#chunks === 0) return;
    const { database } = this.#context;
    const { queries } = database;
    const waiting = await queries
      .selectFrom('repairs')
      .select('content_id')
      .where('look_at', '<=', now + ORDERED_AGAIN)
      .limit(1)
      .executeTakeFirst();
    const order = await queries.selectFrom('copies').select('id').limit(1).executeTakeFirst();
    if (waiting !== undefined || order !== undefined) return;
    const { waits } = await queries
      .selectFrom('repairs')
      .select(({ fn }) => fn.countAll<number>().as('waits'))
      .executeTakeFirstOrThrow();
    const data = {
      chunks: this.#chunks,
      bytes: this.#bytes,
      seconds: this.#since === undefined ? null : (now - this.#since) / 1000,
      /** Contents that only another server, or one that comes back, can help. */
      waiting: waits,
    };
    await fenced(database, epoch, (db) =>
      appendEvents(db, database.kind, [{ kind: 'repair.done', audience: 'people', data }], now),
    );
    this.#since = undefined;
    this.#chunks = 0;
    this.#bytes = 0;
  }
}
