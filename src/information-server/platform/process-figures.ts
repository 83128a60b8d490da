import { readdir } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';

import type { Context } from '../context.ts';

/** Nanoseconds in a second. */
const NANO = 1e9;

/** Figures of the process, under the names that Prometheus' own libraries give them, and of the fleet's lead and events. */
export function processFigures({
  metrics,
  database,
  signal,
  isLeader,
  leaderUrl,
  informationServers,
}: Context): void {
  const { queries } = database;
  metrics.gauge('headwater_leader', 'Whether this server leads: 1 or 0.', () => (isLeader() ? 1 : 0));
  metrics.gauge('headwater_leader_known', 'Whether this server knows who leads: 1 or 0.', () =>
    leaderUrl() === undefined ? 0 : 1,
  );
  metrics.gauge(
    'headwater_information_servers',
    'Information servers that are there, as this one knows.',
    () => informationServers().length,
  );
  metrics.gauge(
    'headwater_events_position',
    'Position of the newest event of the fleet.',
    async () => {
      const row = await queries
        .selectFrom('events')
        .select('position')
        .orderBy('position', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row?.position ?? 0;
    },
    'counter',
  );
  metrics.gauge('headwater_database_up', 'Whether the database answers: 1 or 0.', async () => {
    const answered = await queries
      .selectFrom('fleet')
      .select('key')
      .limit(1)
      .execute()
      .catch(() => undefined);
    return answered === undefined ? 0 : 1;
  });

  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  signal.addEventListener('abort', () => delay.disable());
  metrics.gauge(
    'nodejs_eventloop_lag_p99_seconds',
    'Delay of the event loop since the last reading, p99.',
    () => {
      const value = delay.percentile(99) / NANO;
      delay.reset();
      return value;
    },
  );
  metrics.gauge(
    'process_cpu_seconds_total',
    'Processor time, user and system.',
    () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
    'counter',
  );
  metrics.gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  metrics.gauge('nodejs_heap_size_used_bytes', 'Used heap.', () => process.memoryUsage().heapUsed);
  const startedAt = Date.now() / 1000 - process.uptime();
  metrics.gauge('process_start_time_seconds', 'When the process started, since 1970.', () => startedAt);
  metrics.gauge(
    'process_open_fds',
    'Open file descriptors.',
    async () => (await readdir('/proc/self/fd')).length,
  );
}
