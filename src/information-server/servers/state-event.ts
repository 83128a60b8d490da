import type { NewEvent } from '../../database/append-events.ts';
import type { ServerRow } from '../../database/tables.ts';

/** Tells people that a server's state is another now. */
export function stateEvent(
  row: Pick<ServerRow, 'id' | 'name' | 'zone' | 'state'>,
  to: ServerRow['state'],
  why: 'said' | 'registered' | 'silent' | 'heard',
): NewEvent {
  const data = { server: row.id, name: row.name, zone: row.zone, from: row.state, to, why };
  return { kind: 'server.state', audience: 'people', data };
}
