import type { TransportSettings } from '../../transport/connection.ts';
import { downloadFromFleet } from '../../client/fleet/fleet-download.ts';
import type { Download } from '../run-get.ts';
import { openClient } from './with-fleet.ts';

/**
 * What downloads a file of the fleet that one is logged in to, in the place of what downloads from URLs.
 *
 * @throws HeadwaterError `HW_TOKEN_MISSING` when nobody is logged in
 */
export async function loadFleetDownload(
  file: string,
  zone: string | undefined,
  tls: TransportSettings['tls'],
): Promise<Download> {
  const client = await openClient({ tls });
  return async (_sources, { headers: _headers, tls: _tls, manifest: _manifest, ...options } = {}) => {
    try {
      return await downloadFromFleet(client, file, { ...options, ...(zone !== undefined && { zone }) });
    } finally {
      await client.close();
    }
  };
}
