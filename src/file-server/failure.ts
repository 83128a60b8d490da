import type { ServerResponse } from 'node:http';

import { ERRORS, type HeadwaterError } from '../core/errors.ts';

/** Answers with an error of the table as JSON: `{code, message, details}`, and the fields that HTTP wants with it. */
export function sendFailure(response: ServerResponse, error: HeadwaterError): void {
  const { code, message, details } = error;
  const body = Buffer.from(`${JSON.stringify({ code, message, details })}\n`);
  response.writeHead(ERRORS[code].http, {
    ...fieldsOf(error),
    'Cache-Control': 'no-store',
    'Content-Type': 'application/json',
    'Content-Length': body.length,
  });
  response.end(body);
}

function fieldsOf({ code, details }: HeadwaterError): Record<string, string> {
  if (code === 'HW_METHOD') return { Allow: 'GET, HEAD' };
  if (code === 'HW_RANGE')
    return { 'Accept-Ranges': 'bytes', 'Content-Range': `bytes */${String(details['size'])}` };
  const retryAfter = details['retryAfter'];
  return typeof retryAfter === 'number' ? { 'Retry-After': String(retryAfter) } : {};
}
