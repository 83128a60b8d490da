import { HeadwaterError } from '../../core/errors.ts';
import type { Answer } from '../answer.ts';
import type { FleetServerStatus, RunState } from './fleet-types.ts';
import { metricsText } from './metrics.ts';

const STATES: readonly RunState[] = ['running', 'paused', 'draining', 'stopped'];

/** Counts what is refused, by its code. */
export function countingRefusals(answer: Answer, refusals: Map<string, number>): Answer {
  return async (request, response, server) => {
    try {
      await answer(request, response, server);
    } catch (error) {
      const code = error instanceof HeadwaterError ? error.code : 'HW_INTERNAL';
      refusals.set(code, (refusals.get(code) ?? 0) + 1);
      throw error;
    }
  };
}

export interface MeasuredServer {
  readonly status: FleetServerStatus;
  readonly downloads: { readonly granted: number; readonly seen: number };
  readonly refusals: ReadonlyMap<string, number>;
  readonly revoked: number;
  readonly keys: number;
  readonly badChunks: number;
  readonly readAheadBytes: number;
  readonly hashedBytes: number;
  readonly holdingsVersion: number;
  readonly eventPosition: number;
  /** Seconds. */
  readonly clockAhead: number;
}

/** Numbers only: no names, no ids, no tokens, so that anybody may read them. */
export function serverMetrics(measured: MeasuredServer): string {
  const { status, downloads, refusals } = measured;
  const counter = (name: string, help: string, value: number) =>
    ({ name: `headwater_file_server_${name}`, help, kind: 'counter', value }) as const;
  const gauge = (name: string, help: string, value: number) =>
    ({ name: `headwater_file_server_${name}`, help, kind: 'gauge', value }) as const;
  return metricsText([
    {
      ...gauge('state', 'What it does: 1 for the state that it is in.', 0),
      label: 'state',
      value: Object.fromEntries(STATES.map((each) => [each, each === status.state ? 1 : 0])),
    },
    gauge('connected', 'Whether an information server answered last time.', status.connected ? 1 : 0),
    counter('sent_bytes_total', 'Bytes of files handed to the network.', status.bytesSent),
    gauge('rate_bytes', 'The same a second, over the last seconds.', status.rate),
    gauge('answers', 'Bodies being sent.', status.answers),
    gauge('connections', 'Open connections.', status.clients),
    counter('downloads_granted_total', 'Grants that the fleet told of.', downloads.granted),
    counter('downloads_seen_total', 'Downloads that came.', downloads.seen),
    {
      ...counter('refusals_total', 'Requests refused, by error code.', 0),
      label: 'code',
      value: Object.fromEntries(refusals),
    },
    gauge('holdings', 'Contents held.', status.files),
    gauge('chunks', 'Chunks in the chunk store.', status.chunks),
    gauge('chunk_bytes', 'Bytes of them.', status.chunkBytes),
    gauge('holdings_version', 'Version of what is held.', measured.holdingsVersion),
    gauge('pending_files', 'Files that are not hashed yet.', status.pending),
    gauge('pending_bytes', 'Bytes of them.', status.pendingBytes),
    counter('hashed_bytes_total', 'Bytes read to hash them.', measured.hashedBytes),
    counter('bad_chunks_total', 'Chunks found bad on the disk.', measured.badChunks),
    counter('read_ahead_bytes_total', 'Bytes read ahead of downloads.', measured.readAheadBytes),
    gauge('revocations', 'Revoked grants and deleted files that are remembered.', measured.revoked),
    gauge('keys', 'Public keys of the fleet that are known.', measured.keys),
    gauge('event_position', 'Position up to which events were acted on.', measured.eventPosition),
    gauge('clock_ahead_seconds', "Seconds that this clock is ahead of the fleet's.", measured.clockAhead),
  ]);
}
