import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';

import { ERRORS, HeadwaterError } from '../../core/errors.ts';
import type { Metrics } from './metrics.ts';

/** Characters of a path that an error shows. */
const MOST_SHOWN = 200;

type ErrorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply;

/** Answers with what went wrong, whatever it was, as `{code, message, details}`; counts it. */
export function errorHandler(metrics: Metrics): ErrorHandler {
  const errors = metrics.counter('headwater_http_errors_total', 'Requests refused or failed, by code.');
  const database = metrics.counter(
    'headwater_database_errors_total',
    'Requests that failed since the database could not be used (503) or its disk was full (507).',
  );
  return (error, request, reply) => {
    const known = asHeadwaterError(error);
    const { code } = known;
    errors.add(1, { code });
    if (code === 'HW_DATABASE' || code === 'HW_DISK_FULL') {
      database.add(1, { code, status: String(ERRORS[code].http) });
    }
    return answer(known, error, request, reply);
  };
}

function answer(
  known: HeadwaterError,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { http } = ERRORS[known.code];
  if (http >= 500) {
    const { url = 'none' } = request.routeOptions;
    request.log.error({ err: error, method: request.method, route: url, code: known.code }, known.message);
  }
  const { retryAfter } = known.details;
  if (typeof retryAfter === 'number') void reply.header('retry-after', Math.ceil(retryAfter));
  // RFC 6750, 3.
  if (http === 401) void reply.header('www-authenticate', 'Bearer');
  const { code, message, details } = known;
  return reply
    .status(http)
    .type('application/json; charset=utf-8')
    .serializer(JSON.stringify)
    .send({ code, message, details });
}

/** What is said of a path that no route has. Its query can hold a token, and is not shown. */
export function nothingThere({ method, url }: FastifyRequest): never {
  const path = url.replace(/\?.*$/s, '').slice(0, MOST_SHOWN);
  throw new HeadwaterError('HW_NOT_FOUND', `there is nothing at ${method} ${path}`);
}

/** Answers what Node's parser refuses, which no request comes of: 400, 408 or 431, and ends the connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  // An answer that has begun would be spoilt by another one.
  const { _httpMessage: answering } = socket as Socket & { _httpMessage?: ServerResponse };
  if (error.code === 'ECONNRESET' || !socket.writable || answering?.headersSent === true) {
    socket.destroy();
    return;
  }
  const { status, code, message } = refusalOf(error.code);
  const body = JSON.stringify({ code, message, details: {} });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function refusalOf(code: string | undefined) {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, code: 'HW_TOO_LARGE', message: "the request's head is too long" };
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, code: 'HW_USAGE', message: 'the request took too long to arrive' };
  }
  return { status: 400, code: 'HW_USAGE', message: 'this is not HTTP as RFC 9112 has it' };
}

function asHeadwaterError(cause: unknown): HeadwaterError {
  if (hasZodFastifySchemaValidationErrors(cause)) {
    const [first] = cause.validation;
    const where = cause.validationContext ?? 'request';
    const unknown = (first?.params as { keys?: readonly string[] } | undefined)?.keys?.[0];
    const path = [...(first?.instancePath.split('/') ?? []), ...(unknown === undefined ? [] : [unknown])];
    const field = path.filter((part) => part !== '').join('.');
    const said = unknown === undefined ? (first?.message ?? 'is wrong') : 'there is no such field';
    const message = `${field === '' ? where : field}: ${said}`;
    return new HeadwaterError('HW_USAGE', message, { cause, details: { field: field || where, where } });
  }
  if (cause instanceof HeadwaterError) return cause;
  const { statusCode, message } = cause as Partial<FastifyError>;
  if (statusCode === 413) return new HeadwaterError('HW_TOO_LARGE', message ?? 'too large', { cause });
  if (statusCode !== undefined && statusCode < 500) {
    const details = { field: 'body', where: 'body' };
    return new HeadwaterError('HW_USAGE', message ?? 'the request is wrong', {
      cause,
      details: statusCode === 400 || statusCode === 415 ? details : {},
    });
  }
  return new HeadwaterError('HW_INTERNAL', 'the server failed at answering this', { cause });
}
