import type { ServeOptions } from '../file-server/serve-types.ts';
import { readNamedFile, readTlsFiles, usage } from './usage.ts';

/** The environment variable that can hold the control API's token. */
export const TOKEN_VARIABLE = 'HEADWATER_CONTROL_TOKEN';
/** `info` writes a line for every answer; the others only what goes wrong. */
export const LOG_LEVELS = ['info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
/** Shortest token that is taken: 16 characters of base64 are 96 bits. */
const LEAST_TOKEN = 16;

/** What commander hands over. */
export interface RawServeOptions {
  readonly count?: number;
  readonly port?: readonly number[];
  readonly address?: string;
  readonly interval: number;
  readonly limit?: number;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly control?: number;
  readonly controlTokenFile?: string;
  readonly log?: LogLevel;
  readonly json?: true;
}

/** A checked command line: nothing past this looks at raw arguments. */
export interface ServeRequest {
  readonly paths: readonly string[];
  readonly serve: Omit<ServeOptions, 'log' | 'signal' | 'onEvent'>;
  readonly log: LogLevel | undefined;
  readonly print: 'table' | 'json';
}

/**
 * Turns the arguments of `serve` into checked values, and reads the files they name.
 *
 * @throws HeadwaterError `HW_USAGE`
 */
export function readServeRequest(
  paths: readonly string[],
  raw: RawServeOptions,
  env: Readonly<Record<string, string | undefined>>,
): ServeRequest {
  const { count, port, address, interval, limit, tlsCert, tlsKey, json, log } = raw;
  const tls = readTlsFiles(tlsCert, tlsKey);
  const control = controlOf(raw, env);
  return {
    paths,
    serve: {
      interval,
      ...(count !== undefined && { count }),
      ...(port !== undefined && { ports: port }),
      ...(address !== undefined && { address }),
      ...(limit !== undefined && { limit }),
      ...(tls !== undefined && { tls }),
      ...(control !== undefined && { control }),
    },
    log,
    print: json === true ? 'json' : 'table',
  };
}

function controlOf(
  { control, controlTokenFile }: RawServeOptions,
  env: Readonly<Record<string, string | undefined>>,
): ServeOptions['control'] {
  if (control === undefined) {
    if (controlTokenFile !== undefined) throw usage('--control-token-file takes effect only with --control');
    return undefined;
  }
  const token =
    controlTokenFile === undefined
      ? env[TOKEN_VARIABLE]
      : readNamedFile('--control-token-file', controlTokenFile).trim();
  if (token === undefined) return { port: control };
  if (token.length < LEAST_TOKEN || /[^\x21-\x7e]/.test(token)) {
    const origin = controlTokenFile === undefined ? TOKEN_VARIABLE : '--control-token-file';
    throw usage(`${origin} takes a token of at least ${LEAST_TOKEN} printable characters without spaces`);
  }
  return { port: control, token };
}
