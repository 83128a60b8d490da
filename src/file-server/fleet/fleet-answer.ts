import type { IncomingMessage, ServerResponse } from 'node:http';

import { ChunkReport } from '../../core/api/servers.ts';
import type { GrantClaims } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { ByteRange } from '../../core/ranges.ts';
import {
  refuseMethod,
  refuseUnlessRunning,
  sendFile,
  type Answer,
  type AnsweringServer,
  type BodyUnderWay,
} from '../answer.ts';
import type { ChunkRequest } from '../chunks/chunk-answers.ts';
import { lastModifiedOf } from '../conditions.ts';
import { sendJson } from '../failure.ts';
import { PAUSED_RETRY_SECONDS } from '../limits.ts';
import { fileRepresentation } from '../representation.ts';
import type { ContentStore, OpenedContent } from '../store.ts';
import { hasOf } from './announcer.ts';
import type { ChunkReports } from './chunk-reports.ts';
import type { DownloadBook } from './download-book.ts';
import type { RunState } from './fleet-types.ts';
import type { GrantCheck } from './grant-check.ts';
import type { Inventory } from './inventory.ts';
import { jsonBody } from './json-body.ts';
import { MOST_REPORT_BYTES } from './limits.ts';
import { tokenOf } from './request-token.ts';

export interface FleetAnswerOptions {
  readonly grants: GrantCheck;
  readonly downloads: DownloadBook;
  readonly reports: ChunkReports;
  readonly contents: ContentStore;
  /** Answers what is asked below `/v1/chunks/`. */
  readonly chunks: (server: AnsweringServer, asked: ChunkRequest) => Promise<void>;
  readonly inventory: Inventory;
  readonly state: () => RunState;
  /** Prometheus text. */
  readonly metrics: () => string;
}

const CHUNKS = '/v1/chunks/';
const FILE = /^\/v1\/files\/([^/]{1,100})(\/reports)?$/;

/**
 * Answers as a file server of a fleet: bytes of a file to who has a grant for it, reports of bad chunks, and to everyone
 * whether it is well. There is no list of files.
 */
export function fleetAnswers(options: FleetAnswerOptions): Answer {
  return async (request, response, server) => {
    const [path = '', query = ''] = targetOf(request);
    if (path.startsWith(CHUNKS)) {
      return options.chunks(server, { request, response, query, name: path.slice(CHUNKS.length) });
    }
    const [, file, reports] = FILE.exec(path) ?? [];
    if (file !== undefined && reports !== undefined) {
      refuseMethod(request, response, ['POST']);
      return answerReport(options, { request, response, query, file });
    }
    refuseMethod(request, response, ['GET', 'HEAD']);
    if (file !== undefined) return answerFile(options, server, { request, response, query, file });
    if (path === '/healthz') return sendJson(response, 200, {}, { state: options.state() });
    if (path === '/metrics') return sendText(request, response, options.metrics());
    throw new HeadwaterError('HW_NOT_FOUND', 'there is nothing at this path');
  };
}

interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: string;
  /** The file's id. */
  readonly file: string;
}

async function answerFile(
  options: FleetAnswerOptions,
  server: AnsweringServer,
  { request, response, query, file }: Asked,
): Promise<void> {
  const { contents, downloads, inventory } = options;
  const claims = await admitted(options, { request, response, query, file });
  refuseUnlessRunning(response, server);
  refuseNewWhileDraining(options, claims);
  const content = await contents.openContent(claims.manifest);
  if (content === undefined) {
    throw new HeadwaterError('HW_NOT_FOUND', 'this server does not hold that file');
  }
  // It may have been paused, or the grant revoked, while the file was opened.
  let handedOn = false;
  try {
    refuseUnlessRunning(response, server);
    await options.grants.check(tokenOf(request, query), file);
    downloads.saw(claims);
    handedOn = true;
  } finally {
    if (!handedOn) content.file.close();
  }
  const name = inventory.nameOf(file) ?? content.name;
  const modified = lastModifiedOf(content.file.modified, Date.now());
  const { more, ...is } = fileRepresentation(name, content.file.size, content.sha256, modified);
  // The manifest comes from an information server; what a grant opens is for nobody else to keep.
  const { Link: _link, ...fields } = more;
  const body = sendFile(request, response, server, {
    file: content.file,
    is: { ...is, more: { ...fields, 'Cache-Control': 'private, no-cache' } },
    admit: (range) => refuseUnlessHere(content, range),
  });
  if (body !== undefined) keepWhileSent(downloads, claims.jti, body, response);
}

async function admitted(options: FleetAnswerOptions, { request, response, query, file }: Asked) {
  try {
    return await options.grants.check(tokenOf(request, query), file);
  } catch (error) {
    if (error instanceof HeadwaterError && error.code.startsWith('HW_TOKEN')) {
      // RFC 6750, section 3.
      const reason = error.code === 'HW_TOKEN_MISSING' ? '' : ', error="invalid_token"';
      response.setHeader('WWW-Authenticate', `Bearer realm="headwater"${reason}`);
    }
    throw error;
  }
}

function refuseNewWhileDraining({ state, downloads }: FleetAnswerOptions, { jti }: GrantClaims): void {
  if (state() !== 'draining' || downloads.hasSeen(jti)) return;
  throw new HeadwaterError('HW_UNAVAILABLE', 'this server is draining: it takes no new downloads', {
    details: { reason: 'draining', retryAfter: PAUSED_RETRY_SECONDS },
  });
}

/** A server can hold a part of a file, and says which. */
function refuseUnlessHere({ layout, missing }: OpenedContent, { start, end }: ByteRange): void {
  if (missing.length === 0) return;
  const [first, last] = [layout.at(start), layout.at(end - 1)];
  if (!missing.some((each) => each >= first && each <= last)) return;
  throw new HeadwaterError('HW_NOT_HERE', 'this server does not hold all of the bytes asked for', {
    details: { has: hasOf(missing, layout.count), chunkSize: layout.chunkSize },
  });
}

function keepWhileSent(
  downloads: DownloadBook,
  grant: string,
  body: BodyUnderWay,
  response: ServerResponse,
): void {
  downloads.began(grant, body);
  response.once('close', () => downloads.ended(grant, body));
}

async function answerReport(
  options: FleetAnswerOptions,
  { request, response, query, file }: Asked,
): Promise<void> {
  const claims = await admitted(options, { request, response, query, file });
  const told = ChunkReport.safeParse(await jsonBody(request, response, MOST_REPORT_BYTES, 'a report'));
  if (!told.success) {
    const field = told.error.issues[0]?.path.join('.') ?? '';
    throw new HeadwaterError('HW_USAGE', 'a report is {"chunk": NUMBER}', { details: { field } });
  }
  const verdict = await options.reports.report(claims.jti, claims.manifest, told.data.chunk);
  sendJson(response, 200, {}, { verdict });
}

/** Path and query of a request target in origin or absolute form (RFC 9112, section 3.2). */
function targetOf({ url = '' }: IncomingMessage): string[] {
  const target = url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?#]*/i, '');
  const question = target.indexOf('?');
  return question < 0 ? [target] : [target.slice(0, question), target.slice(question + 1)];
}

function sendText({ method }: IncomingMessage, response: ServerResponse, text: string): void {
  const body = Buffer.from(text);
  response.writeHead(200, {
    'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
  });
  response.end(method === 'HEAD' ? undefined : body);
}
