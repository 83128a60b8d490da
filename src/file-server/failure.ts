import type { ServerResponse } from 'node:http';

import { ERRORS, type HeadwaterError } from '../core/errors.ts';

/**
 * Answers with an error of the table as JSON: `{code, message, details}`, and the fields that HTTP wants with it. What
 * these need is in the details: `allow`, `retryAfter` (seconds), `size`, or a `status` other than the table's.
 */
export function sendFailure(response: ServerResponse, error: HeadwaterError): void {
  const { code, message, details } = error;
  const status = typeof details['status'] === 'number' ? details['status'] : ERRORS[code].http;
  sendJson(response, status, fieldsOf(error), { code, message, details });
}

/** Answers with one JSON value that nobody may keep. */
export function sendJson(
  response: ServerResponse,
  status: number,
  fields: Readonly<Record<string, string>>,
  value: object,
): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, {
    ...fields,
    'Cache-Control': 'no-store',
    'Content-Type': 'application/json',
    'Content-Length': body.length,
  });
  response.end(body);
}

function fieldsOf({ code, details }: HeadwaterError): Record<string, string> {
  if (code === 'HW_RANGE') {
    return { 'Accept-Ranges': 'bytes', 'Content-Range': `bytes */${String(details['size'])}` };
  }
  if (typeof details['allow'] === 'string') return { Allow: details['allow'] };
  return typeof details['retryAfter'] === 'number' ? { 'Retry-After': String(details['retryAfter']) } : {};
}
