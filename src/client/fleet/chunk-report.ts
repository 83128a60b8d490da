import type { TransportSettings } from '../../transport/connection.ts';
import { openDispatcher } from './dispatcher.ts';

/** Seconds that a file server gets to read the chunk again and say what it found. */
const REPORT_TIME = 10;

/**
 * Tells a file server that a chunk came wrong; it reads it again.
 *
 * @param source URL of the file at that server
 */
export async function reportChunk(
  source: URL,
  chunk: number,
  headers: Readonly<Record<string, string>>,
  settings: TransportSettings,
  signal: AbortSignal,
): Promise<void> {
  const url = new URL(source);
  url.pathname += '/reports';
  const dispatcher = await openDispatcher(url, settings);
  try {
    const { body } = await dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ chunk }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(REPORT_TIME * 1000)]),
    });
    await body.dump();
  } finally {
    await dispatcher.destroy();
  }
}
