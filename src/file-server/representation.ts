import { MANIFEST_TYPE } from '../core/manifest.ts';
import type { Validators } from './conditions.ts';
import { contentDisposition } from './content-disposition.ts';
import { formatHttpDate } from './http-date.ts';

/** One thing that can be answered with: a file's bytes, or its manifest. */
export interface Representation extends Validators {
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  readonly type: string;
  /** Header fields of its own, besides those that every one has. */
  readonly more: Readonly<Record<string, string>>;
}

export function fileRepresentation(
  name: string,
  size: number,
  sha256: string,
  lastModified: number | undefined,
): Representation {
  return {
    size,
    sha256,
    etag: `"${sha256}"`,
    lastModified,
    type: 'application/octet-stream',
    more: {
      'Content-Disposition': contentDisposition(name),
      Link: `<?manifest>; rel="describedby"; type="${MANIFEST_TYPE}"`,
      'X-Content-Type-Options': 'nosniff',
    },
  };
}

export function manifestRepresentation(size: number, sha256: string): Representation {
  return { size, sha256, etag: `"${sha256}"`, lastModified: undefined, type: MANIFEST_TYPE, more: {} };
}

/** What a cache may do with any answer: keep it, and ask each time whether it still holds. */
const CACHING = { 'Cache-Control': 'no-cache' };

/** Fields that every answer about a representation has, 304 and 416 among them (RFC 9110, section 15.4.5). */
export function validatorFields({ etag }: Representation): Record<string, string> {
  return { ...CACHING, 'Accept-Ranges': 'bytes', ETag: etag };
}

/** Fields of an answer with the representation or a part of it. */
export function representationFields(is: Representation): Record<string, string> {
  return {
    ...validatorFields(is),
    'Content-Type': is.type,
    ...is.more,
    ...(is.lastModified !== undefined && { 'Last-Modified': formatHttpDate(is.lastModified) }),
    'Repr-Digest': digestField(is.sha256),
  };
}

/** A digest as RFC 9530 writes it. */
export function digestField(sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
}
