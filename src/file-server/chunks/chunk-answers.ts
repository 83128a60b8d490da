import type { IncomingMessage, ServerResponse } from 'node:http';

import { CheckRequest, MOST_REPLICAS } from '../../core/api/uploads.ts';
import { MOST_CHUNK_SIZE } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { isSha256 } from '../../core/manifest.ts';
import { refuseMethod, refuseUnlessRunning, sendFile, type AnsweringServer } from '../answer.ts';
import { sendJson } from '../failure.ts';
import type { RunState } from '../fleet/fleet-types.ts';
import { jsonBody } from '../fleet/json-body.ts';
import { tokenOf } from '../fleet/request-token.ts';
import { PAUSED_RETRY_SECONDS } from '../limits.ts';
import { checkChunks } from './check-chunks.ts';
import type { ChunkContents } from './chunk-contents.ts';
import type { ChunkLeave, ChunkTokens } from './chunk-tokens.ts';
import { KEEP_FOR_ASKED, KEEP_FOR_FOUND, MOST_CHECK_BYTES } from './limits.ts';
import { putChunk, type ChunkTakingOptions } from './put-chunk.ts';

export interface ChunkAnswersOptions extends ChunkTakingOptions {
  readonly tokens: ChunkTokens;
  readonly contents: ChunkContents;
  readonly state: () => RunState;
}

/** A request below `/v1/chunks/`. */
export interface ChunkRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What follows `/v1/chunks/`. */
  readonly name: string;
  readonly query: string;
}

const SERVER_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Answers about single chunks: takes them from uploads and servers of the fleet, says which are here, and sends them to other
 * servers of the fleet.
 *
 * @throws HeadwaterError what the client is to be told
 */
export async function answerChunk(
  options: ChunkAnswersOptions,
  server: AnsweringServer,
  asked: ChunkRequest,
): Promise<void> {
  const { request, response, name } = asked;
  if (name === 'check') {
    refuseMethod(request, response, ['POST']);
    return answerCheck(options, asked);
  }
  if (!isSha256(name)) {
    throw new HeadwaterError(
      'HW_PATH',
      'a chunk is asked for by its SHA-256, 64 lower-case hexadecimal digits',
    );
  }
  refuseMethod(request, response, ['GET', 'HEAD', 'PUT']);
  if (request.method === 'PUT') return answerPut(options, server, asked);
  await leaveOf(options, asked, 'server');
  refuseUnlessRunning(response, server);
  const file = await options.contents.openChunk(name);
  if (file === undefined) throw new HeadwaterError('HW_NOT_HERE', 'this server does not have that chunk');
  sendFile(request, response, server, {
    file,
    is: {
      size: file.size,
      sha256: name,
      etag: `"${name}"`,
      lastModified: undefined,
      type: 'application/octet-stream',
      more: { 'Cache-Control': 'private, no-cache' },
    },
  });
}

async function answerPut(
  options: ChunkAnswersOptions,
  server: AnsweringServer,
  asked: ChunkRequest,
): Promise<void> {
  const { request, response, name, query } = asked;
  const leave = await leaveOf(options, asked, 'upload-or-server');
  refuseUnlessRunning(response, server);
  refuseUnlessOpen(options.state());
  const stored = await putChunk(options, {
    body: request,
    digest: name,
    size: sizeOf(request, response),
    next: nextOf(query, options.id()),
    token: tokenOf(request, query),
    keepUntil: leave.aud === 'headwater:upload' ? leave.keep * 1000 : Date.now() + KEEP_FOR_FOUND,
  });
  sendJson(response, 200, {}, stored);
}

async function answerCheck(options: ChunkAnswersOptions, asked: ChunkRequest): Promise<void> {
  const { request, response } = asked;
  const leave = await leaveOf(options, asked, 'upload-or-server');
  const told = CheckRequest.safeParse(await jsonBody(request, response, MOST_CHECK_BYTES, 'a question'));
  if (!told.success) {
    const { path = [], message = '' } = told.error.issues[0] ?? {};
    const details = { field: path.join('.') };
    throw new HeadwaterError('HW_USAGE', `the question is {"digests": [SHA-256, ...]}: ${message}`, {
      details,
    });
  }
  const keepUntil = leave.aud === 'headwater:upload' ? leave.keep * 1000 : Date.now() + KEEP_FOR_ASKED;
  sendJson(response, 200, {}, { has: await checkChunks(options.store, told.data.digests, keepUntil) });
}

async function leaveOf(
  { tokens }: ChunkAnswersOptions,
  { request, response, query }: ChunkRequest,
  who: 'upload-or-server' | 'server',
): Promise<ChunkLeave> {
  try {
    return await tokens.check(tokenOf(request, query), who);
  } catch (error) {
    if (error instanceof HeadwaterError && error.code.startsWith('HW_TOKEN')) {
      // RFC 6750, section 3.
      const reason = error.code === 'HW_TOKEN_MISSING' ? '' : ', error="invalid_token"';
      response.setHeader('WWW-Authenticate', `Bearer realm="headwater"${reason}`);
    }
    throw error;
  }
}

function refuseUnlessOpen(state: RunState): void {
  if (state === 'running') return;
  throw new HeadwaterError('HW_UNAVAILABLE', `this server is ${state} and takes no chunks`, {
    details: { reason: state, retryAfter: PAUSED_RETRY_SECONDS },
  });
}

/** Told before any byte comes, so that what has no room is refused at once. */
function sizeOf({ headers }: IncomingMessage, response: ServerResponse): number {
  const size = Number(headers['content-length'] ?? Number.NaN);
  if (Number.isSafeInteger(size) && size > 0 && size <= MOST_CHUNK_SIZE) return size;
  // What follows is not read.
  response.setHeader('Connection', 'close');
  if (size > MOST_CHUNK_SIZE) {
    throw new HeadwaterError('HW_TOO_LARGE', `a chunk has at most ${MOST_CHUNK_SIZE} bytes`);
  }
  throw new HeadwaterError('HW_USAGE', 'a chunk is sent with its Content-Length, 1 or more');
}

function nextOf(query: string, own: string): string[] {
  const next = new URLSearchParams(query).get('next');
  const ids = next === null || next === '' ? [] : next.split(',');
  const isFine = ids.length < MOST_REPLICAS && ids.every((id) => SERVER_ID.test(id) && id !== own);
  if (isFine && new Set(ids).size === ids.length) return ids;
  const message = `next takes ids of other servers, each once, at most ${MOST_REPLICAS - 1}, separated by commas`;
  throw new HeadwaterError('HW_USAGE', message, { details: { field: 'next' } });
}
