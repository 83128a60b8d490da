import assert from 'node:assert/strict';

import { HeadwaterError } from '../../../src/core/errors.ts';
import type { Connection, Request } from '../../../src/transport/connection.ts';
import { openConnection } from '../../../src/transport/open-connection.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, type Script, madeUpContent } from '../../faults/fault-server.ts';

export const SIZE = 3_000_000;
export const content = madeUpContent(7, SIZE);

/** A GET for a range, end exclusive. */
export function get(url: URL, from = 0, to = SIZE, headers: Record<string, string> = {}): Request {
  return { method: 'GET', url, headers: { Range: `bytes=${from}-${to - 1}`, ...headers } };
}

/** A server and a connection to it, both closed afterwards. */
export async function withServer(
  script: Script,
  use: (server: FaultServer, connection: Connection) => Promise<void>,
): Promise<void> {
  await using server = await FaultServer.start({ content, script });
  const connection = openConnection(server.url, defaultTransportSettings);
  try {
    await use(server, connection);
  } finally {
    connection.close();
  }
}

/** The error that a request ends with. */
export async function failure(promise: Promise<unknown>): Promise<HeadwaterError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof HeadwaterError, `expected a HeadwaterError, got ${String(error)}`);
  return error;
}
