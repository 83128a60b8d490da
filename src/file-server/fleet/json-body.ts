import type { IncomingMessage, ServerResponse } from 'node:http';

import { HeadwaterError } from '../../core/errors.ts';

/**
 * What a request carries as JSON; undefined when it is none.
 *
 * @param what what it is, for the message
 * @throws HeadwaterError `HW_TOO_LARGE`
 */
export function jsonBody(
  request: IncomingMessage,
  response: ServerResponse,
  most: number,
  what: string,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const parts: Buffer[] = [];
  let bytes = 0;
  request.on('data', (part: Buffer) => {
    bytes += part.length;
    // What is too long is thrown away as it comes: who still sends would not read why it was refused.
    if (bytes <= most) {
      parts.push(part);
      return;
    }
    parts.length = 0;
    if (!response.headersSent) response.setHeader('Connection', 'close');
    reject(new HeadwaterError('HW_TOO_LARGE', `${what} has at most ${most} bytes`));
  });
  request.on('end', () => resolve(jsonOf(Buffer.concat(parts).toString())));
  request.on('error', reject);
  return promise;
}

export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
