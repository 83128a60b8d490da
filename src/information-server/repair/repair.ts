import { readStores } from '../uploads/store-servers.ts';
import type { Context, LeaderTasks } from '../context.ts';
import type { LeaderTask } from '../leadership/leader-task.ts';
import { Budget } from './budget.ts';
import { Episode } from './episode.ts';
import { AVOIDED_FOR, LOOK_TIME, MOST_ORDERS, PLANNED_AT_ONCE } from './limits.ts';
import { watchOrders, type OrderNews } from './order-watch.ts';
import { planContent, type Plan } from './plan.ts';
import { readContents, type PublishedContent } from './read-contents.ts';
import { repairServerOf, type RepairServer } from './repair-server.ts';
import { noteServerChanges, tellDrained } from './server-changes.ts';
import { writePlans } from './write-plans.ts';

/** Keeps as many copies of what is published as are wanted. */
export const repairTasks: LeaderTasks = (context) => [new Repair(context)];

/** What a look needs to know of the fleet. */
export interface Look {
  readonly epoch: number;
  readonly now: number;
  readonly servers: ReadonlyMap<number, RepairServer>;
}

interface Due {
  readonly id: number;
  readonly least: number | null;
  readonly rebalances: number;
}

interface Kind {
  readonly isFirstLook: boolean;
  readonly rebalance: boolean;
}

/**
 * Looks at contents whose copies may have changed, those with the fewest copies first, and has copies made or let go. All of
 * its state but what it avoids is in the database: the next leader goes on.
 */
class Repair implements LeaderTask {
  readonly name = 'repair';
  readonly every: number;
  readonly #context: Context;
  readonly #episode: Episode;
  /** Servers that did not do their order for a content, until when they are asked last: "content server". */
  readonly #avoided = new Map<string, number>();

  constructor(context: Context) {
    this.#context = context;
    this.#episode = new Episode(context);
    this.every = context.settings.copies.every;
  }

  async run(epoch: number, signal: AbortSignal): Promise<void> {
    const { database, settings } = this.#context;
    const now = this.#context.now();
    const rows = await readStores(database.queries);
    const goneBefore = now - settings.times.deadAfter * 1000;
    const servers = new Map(rows.map((row) => [row.number, repairServerOf(row, goneBefore)]));
    await noteServerChanges(database, epoch, rows, servers, now);
    const news = await watchOrders(database, epoch, servers, now);
    this.#note(news, now);
    await this.#plan({ epoch, now, servers }, news, signal);
    await tellDrained(database, epoch, rows, servers, now);
    await this.#episode.end(epoch, now);
  }

  #note({ failed, chunks, bytes }: OrderNews, now: number): void {
    this.#episode.add({ chunks, bytes });
    for (const { content, server } of failed) this.#avoided.set(`${content} ${server}`, now + AVOIDED_FOR);
    for (const [key, until] of this.#avoided) if (until <= now) this.#avoided.delete(key);
  }

  async #plan(look: Look, news: OrderNews, signal: AbortSignal): Promise<void> {
    const { copies } = this.#context.settings;
    const budget = new Budget({ perServer: copies.mostPerServer, inAll: copies.mostInAll }, news.under);
    const end = performance.now() + LOOK_TIME;
    let { open } = news;
    while (performance.now() < end && !signal.aborted && open < MOST_ORDERS) {
      const due = await this.#due(look.now);
      if (due.length === 0) return;
      const isFirstLook = due.some(({ least }) => least === null);
      const contents = await readContents(
        this.#context.database.queries,
        due.map(({ id }) => id),
      );
      const plans = new Map<PublishedContent, Plan>();
      for (const content of contents.values()) {
        const rebalance = due.some(({ id, rebalances }) => id === content.id && rebalances === 1);
        plans.set(content, this.#planOne(content, look, budget, { isFirstLook, rebalance }));
      }
      const gone = due.map(({ id }) => id).filter((id) => !contents.has(id));
      await writePlans(this.#context, look, { plans, gone, isFirstLook }, budget);
      const ordered = [...plans.values()].reduce((sum, plan) => sum + plan.copies.length, 0);
      if (ordered > 0) this.#episode.begin(look.now);
      open += ordered;
      if (budget.isSpent) return;
    }
  }

  /** While others wait that nobody has looked at, only what is nearly lost gets orders: they may have fewer copies. */
  #planOne(content: PublishedContent, look: Look, budget: Budget, { isFirstLook, rebalance }: Kind): Plan {
    const avoid = new Set(
      [...look.servers.keys()].filter((server) => this.#avoided.has(`${content.id} ${server}`)),
    );
    const plan = (within: Budget): Plan =>
      planContent({ ...content.copies, avoid, rebalance }, look.servers, within);
    if (!isFirstLook) return plan(budget);
    const first = plan(Budget.nothing());
    if (first.state !== 'capped' || first.least > 1) return first;
    return plan(budget);
  }

  async #due(now: number): Promise<Due[]> {
    const { queries } = this.#context.database;
    const due = queries.selectFrom('repairs').where('look_at', '<=', now);
    const fresh = await due
      .select(['content_id as id', 'least', 'rebalance as rebalances'])
      .where('least', 'is', null)
      .orderBy('since')
      .limit(PLANNED_AT_ONCE)
      .execute();
    if (fresh.length > 0) return fresh;
    return due
      .select(['content_id as id', 'least', 'rebalance as rebalances'])
      .orderBy('least')
      .orderBy('look_at')
      .limit(PLANNED_AT_ONCE)
      .execute();
  }
}
