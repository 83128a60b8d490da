import { isIPv6 } from 'node:net';

import { HeadwaterError } from '../core/errors.ts';
import { FIRST_PORT } from '../file-server/limits.ts';

/**
 * The URLs of `get NAME -a HOST[,HOST...] -p PORT[,PORT...]`: every host on every port, in that order, each once.
 * Without ports it is the one that `headwater serve` takes first. A host that carries a port of its own (`a:8080`, `[::1]:8080`) is asked on that port alone.
 *
 * @param name the file's name as it is on the servers, not percent-encoded; may have folders
 * @throws HeadwaterError `HW_USAGE`
 */
export function sourceUrls(
  name: string,
  hosts: readonly string[],
  ports: readonly number[] | undefined,
): string[] {
  const path = encodedPath(name);
  const urls = hosts.flatMap((text) => {
    const { host, port } = parseHost(text);
    const own = port === undefined ? (ports ?? [FIRST_PORT]) : [port];
    return own.map((each) => sourceUrl(text, `http://${host}:${each}/${path}`));
  });
  return [...new Set(urls)];
}

function sourceUrl(host: string, text: string): string {
  if (URL.canParse(text)) return new URL(text).href;
  throw wrongHost(host);
}

function parseHost(text: string): { host: string; port?: number } {
  if (isIPv6(text)) return { host: `[${text}]` };
  const match = /^(\[[0-9a-f:.]+\]|[^\s:/?#@[\]\\]+)(?::(\d{1,5}))?$/i.exec(text);
  const host = match?.[1];
  if (host === undefined) throw wrongHost(text);
  if (match?.[2] === undefined) return { host };
  const port = Number(match[2]);
  if (port < 1 || port > 65_535) throw wrongHost(text);
  return { host, port };
}

function wrongHost(text: string): HeadwaterError {
  return new HeadwaterError(
    'HW_USAGE',
    `--address takes host names or addresses, separated by commas, each with or without a port; not "${text}"`,
  );
}

/** Segment by segment, so that a slash stays one and everything else is taken as it is written. */
function encodedPath(name: string): string {
  const segments = name.replace(/^\/+/, '').split('/');
  const bad = segments.some((each) => each === '.' || each === '..' || !each.isWellFormed());
  if (bad || segments.join('') === '') {
    throw new HeadwaterError(
      'HW_USAGE',
      `NAME takes a file's name as it is on the servers, such as "big.iso" or "folder/big.iso"; not "${name}"`,
    );
  }
  return segments.map(encodeURIComponent).join('/');
}
