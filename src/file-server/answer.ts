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

/** A body on its way. */
export interface BodyUnderWay {
  /** Sends nothing more of it and closes the connection, so that nobody takes what came for the whole. */
  cut(): void;
}

/** The server that a request came to, as far as answering it needs to know. */
export interface AnsweringServer {
  /** `ending` refuses as `paused` does, and closes the connection. */
  readonly refuses: 'paused' | 'ending' | undefined;
  /**
   * Sends that range as the body of the response, after its `head`, and closes the file in the end. Undefined when the
   * connection is gone already.
   */
  sendBody(
    response: ServerResponse,
    file: OpenedFile,
    range: ByteRange,
    head: () => void,
  ): BodyUnderWay | undefined;
}

/**
 * Answers one request. Resolves when the answer is on its way.
 *
 * @throws HeadwaterError what the client is to be told
 */
export type Answer = (
  request: IncomingMessage,
  response: ServerResponse,
  server: AnsweringServer,
) => Promise<void>;

/** Answers with files by their names, their manifests, and the list of them (RFC 9110). */
export function answersFrom(store: Store): Answer {
  return (request, response, server) => answer(request, response, server, store);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  server: AnsweringServer,
  store: Store,
): Promise<void> {
  refuseMethod(request, response, ['GET', 'HEAD']);
  refuseUnlessRunning(response, server);
  const asked = parseTarget(request.url ?? '/');
  if (asked.kind === 'index') return await sendIndex(request, response, store);
  const file = asked.kind === 'nothing' ? undefined : await store.open(asked.name);
  if (file === undefined) throw new HeadwaterError('HW_NOT_FOUND', 'nothing is served under this name');
  let handedOn = false;
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
      handedOn = true;
      sendFile(request, response, server, { file, is });
    }
  } finally {
    if (!handedOn) file.close();
  }
}

/** What is sent, as what. `admit` may refuse the bytes that the request asks for by throwing. */
export interface FileToSend {
  readonly file: OpenedFile;
  readonly is: Representation;
  readonly admit?: (range: ByteRange) => void;
}

/**
 * Answers with a file, a part of it, or what a condition of the request makes of it (RFC 9110, sections 13 and 14). The
 * file is closed in the end, whatever happens. Undefined where no body follows.
 *
 * @throws HeadwaterError `HW_PRECONDITION`, `HW_RANGE`, and what `admit` throws
 */
export function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  server: AnsweringServer,
  { file, is, admit }: FileToSend,
): BodyUnderWay | undefined {
  let handedOn = false;
  try {
    const { status, fields, range } = headOf(request, is, Date.now());
    if (range === undefined) {
      response.writeHead(status, fields);
      response.end();
      return undefined;
    }
    admit?.(range);
    handedOn = true;
    return server.sendBody(response, file, range, () => response.writeHead(status, fields));
  } finally {
    if (!handedOn) file.close();
  }
}

/** @throws HeadwaterError `HW_METHOD` */
export function refuseMethod(
  { method = '' }: IncomingMessage,
  response: ServerResponse,
  offered: readonly string[],
): void {
  if (offered.includes(method)) return;
  // What such a request carries is not read.
  response.setHeader('Connection', 'close');
  const are = offered.length === 1 ? 'is' : 'are';
  throw new HeadwaterError('HW_METHOD', `${method} is not offered; ${offered.join(' and ')} ${are}`, {
    details: { allow: offered.join(', ') },
  });
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

/** @throws HeadwaterError `HW_UNAVAILABLE` */
export function refuseUnlessRunning(response: ServerResponse, { refuses }: AnsweringServer): void {
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
