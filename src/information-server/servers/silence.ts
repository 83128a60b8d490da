import { appendEvents, type NewEvent } from '../../database/append-events.ts';
import type { ServerRow } from '../../database/tables.ts';
import type { LeaderTasks } from '../context.ts';
import { fenced } from '../leadership/leader-task.ts';
import { heartbeatsOf } from './heartbeats.ts';
import { stateEvent } from './state-event.ts';

/** Seconds between two looks. */
const LOOK_EVERY = 1;
/** Milliseconds between two looks above which the leader itself was away, asleep or without a database. */
const MOST_BETWEEN_LOOKS = 4_000;
/** Milliseconds that writing takes above which what was said meanwhile is not written yet: a batch waits 200. */
const MOST_WAIT = 1_000;

interface Watched {
  /** As it was when it was last seen to change; only compared with itself. */
  readonly lastSeenAt: number;
  /** When that was, by the time in which the observer could hear. */
  readonly since: number;
}

/**
 * How long each server has been silent, as one observer has seen it. No clock is compared with another machine's: a server
 * was heard when what is written of it changes. An observer that was away itself begins anew, so that nobody is called
 * silent for what the observer did not hear.
 */
export class SilenceWatch {
  #watched = new Map<number, Watched>();
  #lookedAt = -Infinity;
  /** Milliseconds in which it could hear. */
  #heard = 0;
  #epoch = 0;

  /**
   * @param epoch of the observer's lead: a new one knows nothing of the servers yet
   * @param now milliseconds of a monotonic clock
   * @param canHear whether what was said since the last look has been written; time in which it was not is no silence
   * @returns milliseconds of silence of each server, by number
   */
  look(
    rows: readonly Pick<ServerRow, 'number' | 'last_seen_at'>[],
    epoch: number,
    now: number,
    canHear = true,
  ): Map<number, number> {
    if (epoch !== this.#epoch || now - this.#lookedAt > MOST_BETWEEN_LOOKS) this.#watched.clear();
    else if (canHear) this.#heard += now - this.#lookedAt;
    this.#epoch = epoch;
    this.#lookedAt = now;
    const watched = new Map<number, Watched>();
    for (const { number, last_seen_at: lastSeenAt } of rows) {
      const before = this.#watched.get(number);
      watched.set(number, before?.lastSeenAt === lastSeenAt ? before : { lastSeenAt, since: this.#heard });
    }
    this.#watched = watched;
    return new Map([...watched].map(([number, { since }]) => [number, this.#heard - since]));
  }

  /** It was away: what it knows of silence is nothing. */
  forget(): void {
    this.#watched.clear();
  }
}

type Row = Pick<ServerRow, 'number' | 'id' | 'name' | 'zone' | 'state' | 'last_seen_at'>;

/** Marks servers that are not heard of as suspected, then as dead. A heartbeat takes it back. */
export const silenceTasks: LeaderTasks = (context) => {
  const { database, settings, log, now } = context;
  const { suspectAfter, deadAfter } = settings.times;
  const watch = new SilenceWatch();
  const beats = heartbeatsOf(context);
  const next = ({ state }: Row, silence: number): 'suspected' | 'dead' | undefined => {
    if (silence >= deadAfter * 1000) return state === 'dead' ? undefined : 'dead';
    return silence >= suspectAfter * 1000 && state !== 'suspected' && state !== 'dead'
      ? 'suspected'
      : undefined;
  };
  return [
    {
      name: 'mark-silent-servers',
      every: Math.min(LOOK_EVERY, suspectAfter / 4),
      run: async (epoch) => {
        const rows = await database.queries
          .selectFrom('servers')
          .select(['number', 'id', 'name', 'zone', 'state', 'last_seen_at'])
          .where('state', 'not in', ['stopped', 'dead'])
          .execute();
        const silences = watch.look(rows, epoch, performance.now(), beats.waited < MOST_WAIT);
        const silent = rows.flatMap((row) => {
          const state = next(row, silences.get(row.number) ?? 0);
          return state === undefined ? [] : [{ row, state }];
        });
        if (silent.length === 0) return;
        const asked = performance.now();
        await fenced(database, epoch, async (db) => {
          // Others may wait to write down what was said, here or on another information server: they come first.
          if (performance.now() - asked > MOST_WAIT) return watch.forget();
          const events: NewEvent[] = [];
          for (const { row, state } of silent) {
            const { numUpdatedRows } = await db
              .updateTable('servers')
              .set({ state, answers: 0, clients: 0, rate: 0 })
              .where('number', '=', row.number)
              // Not when it was heard just now.
              .where('last_seen_at', '=', row.last_seen_at)
              .where('state', '=', row.state)
              .executeTakeFirst();
            if (numUpdatedRows === 0n) continue;
            events.push(stateEvent(row, state, 'silent'));
            log.warn({ server: row.name, state }, 'a file server is not heard of');
          }
          await appendEvents(db, database.kind, events, now());
        });
      },
    },
  ];
};
