import { HeadwaterError } from '../core/errors.ts';
import type { Request } from './connection.ts';

/** Set by the transport; a caller's own would make two contradicting ones. */
const OWN_FIELDS = new Set(['connection', 'content-length', 'expect', 'transfer-encoding', 'upgrade']);

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~\w]+$/;

/**
 * The fields of a request besides Host, Connection and Content-Length, checked; a user and password in the URL become
 * Basic authorization unless the caller gives its own.
 *
 * @throws HeadwaterError `HW_USAGE` for a name or value that HTTP does not allow
 */
export function requestFields(request: Request): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of Object.entries(request.headers)) {
    if (!FIELD_NAME.test(name))
      throw new HeadwaterError('HW_USAGE', `Header name ${JSON.stringify(name)} is not allowed in HTTP.`);
    if (OWN_FIELDS.has(name.toLowerCase())) {
      throw new HeadwaterError(
        'HW_USAGE',
        `Header ${name} is set by the program itself and cannot be given.`,
      );
    }
    if (hasControlCharacter(value)) {
      throw new HeadwaterError('HW_USAGE', `The value of header ${name} holds a control character.`);
    }
    fields.set(name.toLowerCase(), value);
  }
  const authorization = basicAuthorization(request.url);
  if (authorization !== undefined && !fields.has('authorization')) fields.set('authorization', authorization);
  return fields;
}

/** Request line, fields and body as they go over the wire. Throws as `requestFields` does. */
export function requestBytes(request: Request): Uint8Array {
  const { method, url, body } = request;
  const fields = requestFields(request);
  const host = fields.get('host') ?? url.host;
  fields.delete('host');
  let head = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive\r\n`;
  for (const [name, value] of fields) head += `${name}: ${value}\r\n`;
  if (method === 'POST') head += `Content-Length: ${body?.length ?? 0}\r\n`;
  const bytes = Buffer.from(`${head}\r\n`);
  return body === undefined ? bytes : Buffer.concat([bytes, body]);
}

function basicAuthorization(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  const pair = `${decoded(url.username)}:${decoded(url.password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

/** A percent sign that encodes nothing stands for itself, as in curl. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function hasControlCharacter(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true;
  }
  return false;
}
