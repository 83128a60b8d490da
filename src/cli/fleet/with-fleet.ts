import type { TransportSettings } from '../../transport/connection.ts';
import { FleetClient } from '../../client/fleet/fleet-client.ts';
import { listenForInterrupts } from '../interrupt.ts';
import { identity } from './credentials.ts';

/** What a command that calls the fleet works with. */
export interface Calling {
  readonly client: FleetClient;
  /** Fires at Ctrl-C. */
  readonly signal: AbortSignal;
}

/**
 * Calls the fleet that one is logged in to, and hangs up.
 *
 * @throws HeadwaterError `HW_TOKEN_MISSING` when nobody is logged in, and what the work throws
 */
export async function withFleet<T>(work: (calling: Calling) => Promise<T>): Promise<T> {
  using interrupts = listenForInterrupts();
  const client = await openClient();
  try {
    return await work({ client, signal: interrupts.signal });
  } finally {
    await client.close();
  }
}

/** The fleet that one is logged in to. The caller closes it. */
export async function openClient(
  settings: {
    readonly patience?: number;
    readonly tls?: TransportSettings['tls'];
    readonly warn?: (text: string) => void;
  } = {},
): Promise<FleetClient> {
  const {
    patience,
    tls = {},
    warn = (text: string) => void process.stderr.write(`headwater: ${text}\n`),
  } = settings;
  const { addresses, token, ca } = await identity(process.env, warn);
  return new FleetClient({
    addresses,
    token,
    tls: { ...(ca !== undefined && { ca }), ...tls },
    ...(patience !== undefined && { patience }),
  });
}
