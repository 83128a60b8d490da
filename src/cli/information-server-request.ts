import { MOST_REPLICAS } from '../core/api/uploads.ts';
import type { InformationServerOptions } from '../information-server/options.ts';
import { TIMES } from '../information-server/settings.ts';
import { defaultDataFolder } from './data-folder.ts';
import { secretVariable } from './secret-variable.ts';
import { readTlsFiles, usage } from './usage.ts';

/** `debug` writes a line for every request, `info` what the server does, the others only what goes wrong. */
export const INFORMATION_LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type InformationLogLevel = (typeof INFORMATION_LOG_LEVELS)[number];

/** What commander hands over. */
export interface RawInformationServerOptions {
  readonly data?: string;
  readonly port?: number;
  readonly address?: string;
  readonly publicUrl?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly trustedProxy?: readonly string[];
  readonly replicas?: number;
  /** Seconds. */
  readonly suspectAfter?: number;
  readonly deadAfter?: number;
  /** Bytes. */
  readonly repairPerServer?: number;
  readonly repairInAll?: number;
  readonly log: InformationLogLevel;
  readonly json?: true;
}

/** A checked command line and environment. */
export interface InformationServerRequest {
  readonly server: Omit<InformationServerOptions, 'log'>;
  readonly log: InformationLogLevel;
  readonly print: 'lines' | 'json';
}

/**
 * Turns the arguments of `information-server` and its environment into options, and reads the files they name.
 *
 * @throws HeadwaterError `HW_USAGE`
 */
export function readInformationServerRequest(
  raw: RawInformationServerOptions,
  env: Readonly<Record<string, string | undefined>>,
): InformationServerRequest {
  const { port, address, publicUrl, tlsCert, tlsKey, trustedProxy, log, json } = raw;
  const tls = readTlsFiles(tlsCert, tlsKey);
  const email = env['HEADWATER_ADMIN_EMAIL'];
  const password = secretVariable(env, 'HEADWATER_ADMIN_PASSWORD');
  if ((email === undefined || email === '') !== (password === undefined)) {
    throw usage('HEADWATER_ADMIN_EMAIL and HEADWATER_ADMIN_PASSWORD are taken only together');
  }
  const database = secretVariable(env, 'HEADWATER_DATABASE_URL');
  const broker = secretVariable(env, 'HEADWATER_BROKER_URL');
  const joinToken = secretVariable(env, 'HEADWATER_JOIN_TOKEN');
  const replicas = raw.replicas ?? replicasOf(secretVariable(env, 'HEADWATER_REPLICAS'));
  return {
    server: {
      data: raw.data ?? defaultDataFolder(env),
      ...(port !== undefined && { port }),
      ...(address !== undefined && { address }),
      ...(publicUrl !== undefined && { publicUrl }),
      ...(tls !== undefined && { tls }),
      ...(trustedProxy !== undefined && { trustedProxies: [...trustedProxy] }),
      ...(database !== undefined && { database }),
      ...(broker !== undefined && { broker }),
      ...(joinToken !== undefined && { joinToken }),
      times: timesOf(raw),
      copies: {
        ...(replicas !== undefined && { replicas }),
        ...(raw.repairPerServer !== undefined && { mostPerServer: raw.repairPerServer }),
        ...(raw.repairInAll !== undefined && { mostInAll: raw.repairInAll }),
      },
      ...(email !== undefined && password !== undefined && { admin: { email, password } }),
    },
    log,
    print: json === true ? 'json' : 'lines',
  };
}

function timesOf({ suspectAfter, deadAfter }: RawInformationServerOptions) {
  if ((suspectAfter ?? TIMES.suspectAfter) >= (deadAfter ?? TIMES.deadAfter)) {
    throw usage('--dead-after takes more than --suspect-after: a server is suspected first');
  }
  return {
    ...(suspectAfter !== undefined && { suspectAfter }),
    ...(deadAfter !== undefined && { deadAfter }),
  };
}

function replicasOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const replicas = Number(text);
  if (Number.isInteger(replicas) && replicas >= 1 && replicas <= MOST_REPLICAS) return replicas;
  throw usage(`HEADWATER_REPLICAS takes copies from 1 to ${MOST_REPLICAS}, not ${JSON.stringify(text)}`);
}
