import type { Audience, FleetEvent } from '../core/api/events.ts';

/** A file server, as events are addressed. */
export interface Addressee {
  readonly id: string;
  readonly zone: string;
}

/** Whether an event is for this file server. */
export function isFor(audience: Audience, { id, zone }: Addressee): boolean {
  if (audience === 'all') return true;
  if (audience === 'people') return false;
  return 'zone' in audience ? audience.zone === zone : audience.servers.includes(id);
}

/** An event from a row of the outbox. */
export function eventOf(row: {
  position: number;
  id: string;
  kind: string;
  at: number;
  audience: string;
  data: string;
}): FleetEvent {
  return {
    id: row.id,
    position: row.position,
    kind: row.kind,
    at: new Date(row.at).toISOString(),
    audience: JSON.parse(row.audience) as Audience,
    data: JSON.parse(row.data) as Record<string, unknown>,
  };
}
