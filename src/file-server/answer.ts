import type { IncomingMessage, ServerResponse } from 'node:http';

import { HeadwaterError } from '../core/errors.ts';
import { formatContentRange, parseRange, type ByteRange } from '../core/ranges.ts';
import { evaluateConditions, lastModifiedOf, rangeApplies } from './conditions.ts';
import { indexHtml, indexJson, wantsHtml } from './index-page.ts';
import { HASHING_PATIENCE, MOST_HASHING_RETRY_SECONDS, PAUSED_RETRY_SECONDS } from './limits.ts';
import {
  digestField,
  fileRepresentation,
  manifestRepresentation,
  representationFields,
  validatorFields,
  type Representation,
} from './representation.ts';
import { parseTarget } from './request-name.ts';
import type { FileDigests, OpenedFile, Setback, Store } from './store.ts';

/** The server that a request came to, as far as answering it needs to know. */
export interface AnsweringServer {
  readonly store: Store;
  /** `ending` refuses as `paused` does, and closes the connection. */
  readonly refuses: 'paused' | 'ending' | undefined;
  /** Sends that range as the body of the response, after its `head`, and closes the file in the end. */
  sendBody(response: ServerResponse, file: OpenedFile, range: ByteRange, head: () => void): void;
}

/**
 * Answers one request (RFC 9110). Resolves when the answer is on its way.
 *
 * @throws HeadwaterError what the client is to be told
 */
export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  server: AnsweringServer,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    // What such a request carries is not read.
    response.setHeader('Connection', 'close');
    throw new HeadwaterError('HW_METHOD', `${request.method} is not offered; GET and HEAD are`, {
      details: { allow: 'GET, HEAD' },
    });
  }
  refuseUnlessRunning(response, server);
  const asked = parseTarget(request.url ?? '/');
  if (asked.kind === 'index') return await sendIndex(request, response, server.store);
  const file = asked.kind === 'nothing' ? undefined : await server.store.open(asked.name);
  if (file === undefined) throw new HeadwaterError('HW_NOT_FOUND', 'nothing is served under this name');
  let kept = false;
  try {
    const digests = await digestsOf(file);
    // It may have been paused meanwhile.
    refuseUnlessRunning(response, server);
    const now = Date.now();
    if (asked.kind === 'manifest') {
      const text = Buffer.from(digests.manifestText);
      const is = manifestRepresentation(text.length, digests.manifestSha256);
      const { status, fields, range } = headOf(request, is, now);
      response.writeHead(status, fields);
      response.end(range && text.subarray(range.start, range.end));
    } else {
      const lastModified = lastModifiedOf(file.modified, now);
      const is = fileRepresentation(file.name, file.size, digests.sha256, lastModified);
      const { status, fields, range } = headOf(request, is, now);
      if (range === undefined) {
        response.writeHead(status, fields);
        response.end();
      } else {
        kept = true;
        server.sendBody(response, file, range, () => response.writeHead(status, fields));
      }
    }
  } finally {
    if (!kept) file.close();
  }
}

interface Head {
  readonly status: number;
  readonly fields: Record<string, string | number>;
  /** The bytes that follow, if any do. */
  readonly range: ByteRange | undefined;
}

function headOf(request: IncomingMessage, is: Representation, now: number): Head {
  const condition = evaluateConditions(request.headers, is, now);
  if (condition === 304) return { status: 304, fields: validatorFields(is), range: undefined };
  if (condition === 412) {
    throw new HeadwaterError(
      'HW_PRECONDITION',
      'the file is not in the state that the request makes its condition',
    );
  }
  const range = rangeOf(request, is, now);
  if (range === 'unsatisfiable') {
    throw new HeadwaterError('HW_RANGE', `the range lies outside the file, which has ${is.size} bytes`, {
      details: { size: is.size },
    });
  }
  if (range === undefined) {
    return {
      status: 200,
      fields: {
        ...representationFields(is),
        'Content-Digest': digestField(is.sha256),
        'Content-Length': is.size,
      },
      range: request.method === 'HEAD' || is.size === 0 ? undefined : { start: 0, end: is.size },
    };
  }
  return {
    status: 206,
    fields: {
      // Who sent If-Range has the other fields already (section 15.3.7).
      ...(request.headers['if-range'] === undefined ? representationFields(is) : validatorFields(is)),
      'Content-Range': formatContentRange(range, is.size),
      'Content-Length': range.end - range.start,
    },
    range,
  };
}

/** Ranges are defined for GET only (section 14.2). */
function rangeOf(
  request: IncomingMessage,
  is: Representation,
  now: number,
): ByteRange | 'unsatisfiable' | undefined {
  const field = request.headers.range;
  if (field === undefined || request.method !== 'GET' || !rangeApplies(request.headers, is, now))
    return undefined;
  return parseRange(field, is.size);
}

async function digestsOf(file: OpenedFile): Promise<FileDigests> {
  if (file.digests !== undefined) return file.digests;
  const finding = file.findDigests();
  if (file.digestsIn * 1000 <= HASHING_PATIENCE) {
    const patience = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => patience.resolve(undefined), HASHING_PATIENCE);
    const setback = await Promise.race([finding, patience.promise]);
    clearTimeout(timer);
    if (setback !== undefined) throw unhashable(file, setback);
    if (file.digests !== undefined) return file.digests;
  }
  const retryAfter = Math.min(MOST_HASHING_RETRY_SECONDS, Math.max(1, Math.ceil(file.digestsIn)));
  throw new HeadwaterError('HW_UNAVAILABLE', `the digests of ${file.name} are being computed; try again`, {
    details: { reason: 'hashing', retryAfter },
  });
}

/** The whole story was told to the operator, with the path, which is not for clients. */
function unhashable({ name }: OpenedFile, { error, until }: Setback): HeadwaterError {
  const retryAfter = Math.max(1, Math.ceil((until - performance.now()) / 1000));
  return new HeadwaterError(error.code, `${name} cannot be hashed, and is not served until it can`, {
    cause: error,
    details: { reason: 'unhashable', retryAfter },
  });
}

function refuseUnlessRunning(response: ServerResponse, { refuses }: AnsweringServer): void {
  if (refuses === undefined) return;
  if (refuses === 'ending') response.setHeader('Connection', 'close');
  throw new HeadwaterError('HW_UNAVAILABLE', `this server is ${refuses}`, {
    details: { reason: refuses, retryAfter: PAUSED_RETRY_SECONDS },
  });
}

async function sendIndex(request: IncomingMessage, response: ServerResponse, store: Store): Promise<void> {
  const listing = await store.list();
  const html = wantsHtml(request.headers.accept);
  const body = Buffer.from(html ? indexHtml(listing) : indexJson(listing));
  response.writeHead(200, {
    'Cache-Control': 'no-cache',
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'",
    'Content-Type': html ? 'text/html; charset=utf-8' : 'application/json',
    'Content-Length': body.length,
    Vary: 'Accept',
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(body);
}
