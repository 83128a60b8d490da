import { request as httpRequest, type Agent, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';

import { HeadwaterError } from '../../core/errors.ts';
import { arrival } from './arrival.ts';
import type { ChunkStore } from './chunk-store.ts';
import { COPY_STALL, KEEP_FOR_COPIED } from './limits.ts';
import type { Pace } from './pace.ts';

export interface PullOptions {
  readonly store: ChunkStore;
  readonly agents: { readonly http: Agent; readonly https: Agent };
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

/** A chunk that another server is to have. */
export interface PulledChunk {
  readonly digest: string;
  readonly size: number;
  /** Address of the server. */
  readonly url: string;
  readonly token: string;
}

/**
 * Gets a chunk from another server of the fleet and stores it.
 *
 * @throws HeadwaterError `HW_CONNECT`, `HW_SILENT`, `HW_NOT_HERE`, `HW_UNAVAILABLE`, `HW_PROTOCOL`, `HW_BAD_CHUNK` (all that
 *   source's), `HW_NO_ROOM`, `HW_DISK_FULL`, `HW_DISK`, `HW_TOO_MANY` (this server's)
 */
export async function pullChunk(options: PullOptions, wanted: PulledChunk): Promise<void> {
  const { store, pace } = options;
  const { digest, size, url } = wanted;
  const keepUntil = Date.now() + KEEP_FOR_COPIED;
  const draft = await store.draft(digest, size, keepUntil);
  try {
    const response = await ask(options, wanted);
    if (response.statusCode !== 200) {
      response.resume();
      throw refusal(url, response.statusCode ?? 0);
    }
    await arrival(response, [draft, pace]);
  } catch (error) {
    await draft.drop();
    throw error;
  }
  await draft.store();
}

function ask({ agents, signal }: PullOptions, { url, digest, token }: PulledChunk): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const target = new URL(`${url.replace(/\/+$/, '')}/v1/chunks/${digest}`);
  const isSecure = target.protocol === 'https:';
  const request = (isSecure ? httpsRequest : httpRequest)(target, {
    agent: isSecure ? agents.https : agents.http,
    signal,
    timeout: COPY_STALL,
    headers: { authorization: `Bearer ${token}` },
  });
  request.on('timeout', () => {
    request.destroy(new HeadwaterError('HW_SILENT', `${url} has stopped sending`));
  });
  request.on('error', (cause) => {
    if (cause instanceof HeadwaterError) reject(cause);
    else reject(new HeadwaterError('HW_CONNECT', `${url} cannot be reached: ${cause.message}`, { cause }));
  });
  request.on('response', resolve);
  request.end();
  return promise;
}

function refusal(url: string, status: number): HeadwaterError {
  if (status === 404) return new HeadwaterError('HW_NOT_HERE', `${url} does not have the chunk`);
  const code = status === 503 || status === 429 ? 'HW_UNAVAILABLE' : 'HW_PROTOCOL';
  return new HeadwaterError(code, `${url} answers ${status} to a request for a chunk`);
}
