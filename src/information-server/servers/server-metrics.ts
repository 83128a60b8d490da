import { ServerState } from '../../core/api/servers.ts';
import type { Context } from '../context.ts';

/** Figures about file servers, read from the database when somebody asks. */
export function serverMetrics({ metrics, database: { queries } }: Context): void {
  metrics.gauge('headwater_file_servers', 'File servers by state.', async () => {
    const rows = await queries
      .selectFrom('servers')
      .select(['state', ({ fn }) => fn.countAll<number>().as('count')])
      .groupBy('state')
      .execute();
    const counts = new Map<string, number>(rows.map((row) => [row.state, row.count]));
    return ServerState.options.map((state) => [{ state }, counts.get(state) ?? 0] as const);
  });
  metrics.gauge(
    'headwater_file_servers_rate_bytes',
    'Bytes a second that the file servers send.',
    async () => {
      const row = await queries
        .selectFrom('servers')
        .select(({ fn }) => fn.sum<number | null>('rate').as('rate'))
        .executeTakeFirst();
      return row?.rate ?? 0;
    },
  );
}
