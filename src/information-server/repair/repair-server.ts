import type { ServerRow } from '../../database/tables.ts';
import { isOpen, type StoreRow } from '../uploads/store-servers.ts';

/**
 * What a server is to the copies that are wanted:
 * - `open`: its copies count, and it takes more
 * - `closed`: its copies count, and it takes none: paused, suspected, full
 * - `leaving`: it drains; its copies are made elsewhere, and it is a source until then
 * - `gone`: it is dead, or stopped for longer than a dead one is waited for
 */
export type RepairKind = NonNullable<ServerRow['repair_as']>;

/** A server as plans see it. */
export interface RepairServer {
  readonly number: number;
  readonly id: string;
  readonly zone: string;
  /** Bytes its chunk store may fill in all. */
  readonly weight: number;
  readonly kind: RepairKind;
  /** It does what it is told now: only such copies count as there when others are trimmed. */
  readonly runs: boolean;
}

/** @param goneBefore milliseconds since 1970: who has stopped and was not heard of since then is gone */
export function repairServerOf(row: StoreRow, goneBefore: number): RepairServer {
  const { number, id, zone, state, wanted, store_capacity: capacity } = row;
  const runs = state === 'running' && wanted === 'running';
  return { number, id, zone, weight: capacity ?? 0, kind: kindOf(row, goneBefore), runs };
}

function kindOf(row: StoreRow, goneBefore: number): RepairKind {
  if (row.state === 'dead') return 'gone';
  if (row.state === 'stopped') return row.last_seen_at < goneBefore ? 'gone' : 'closed';
  if (row.state === 'draining' || row.wanted === 'draining') return 'leaving';
  return isOpen(row) ? 'open' : 'closed';
}
