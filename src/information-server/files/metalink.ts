import type { DownloadSource } from '../../core/api/files.ts';
import type { Manifest } from '../../core/manifest.ts';

/** The media type of a Metalink (RFC 5854, 9.1). */
export const METALINK_TYPE = 'application/metalink4+xml';

/**
 * A Metalink (RFC 5854): what any program that reads one needs to download from several servers at once and to check every
 * piece.
 *
 * @param sources in the order to be asked
 * @param token the grant, in each address
 */
export function metalinkOf(
  name: string,
  manifest: Manifest,
  sources: readonly DownloadSource[],
  token: string,
): string {
  const { size, sha256, chunkSize, chunks } = manifest;
  const urls = sources.map(({ url, zone }, index) => {
    const place = countryOf(zone);
    const location = place === undefined ? '' : ` location="${place}"`;
    return `    <url${location} priority="${index + 1}">${xml(`${url}?token=${token}`)}</url>`;
  });
  const pieces = [
    `    <pieces length="${chunkSize}" type="sha-256">`,
    ...chunks.map((digest) => `      <hash>${digest}</hash>`),
    '    </pieces>',
  ];
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<metalink xmlns="urn:ietf:params:xml:ns:metalink">',
    '  <generator>Headwater</generator>',
    `  <file name="${xml(metalinkName(name))}">`,
    `    <size>${size}</size>`,
    `    <hash type="sha-256">${sha256}</hash>`,
    ...(chunks.length > 0 ? pieces : []),
    ...urls,
    '  </file>',
    '</metalink>',
    '',
  ].join('\n');
}

// eslint-disable-next-line no-control-regex
const UNFIT = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g;

/**
 * The name that a program saves the file under: the last part of its name in the fleet. Characters that turn the direction
 * of writing round, so that "gpj.exe" reads as "exe.jpg", and those that XML does not have, are replaced.
 */
export function metalinkName(name: string): string {
  const base = name.slice(name.lastIndexOf('/') + 1).toWellFormed();
  return base.replaceAll(UNFIT, '_');
}

/** `location` is a country (RFC 5854, 4.2.16.1); a zone names one at most with its first two letters, such as "de-west". */
function countryOf(zone: string): string | undefined {
  return /^([a-z]{2})(?:-|$)/.exec(zone)?.[1];
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

function xml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
