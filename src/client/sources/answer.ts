import { parseContentRange, type ByteRange } from '../../core/ranges.ts';
import type { ResponseHead } from '../../transport/connection.ts';
import { SourceError } from './fault.ts';
import { statusError } from './refusal.ts';
import { Vouched } from './vouched.ts';

/** What a source says its file is. ETag and Last-Modified differ between honest mirrors: they are held against the same
 * source only. */
export interface Validators {
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** @throws SourceError for any status that brings no content */
export function refuseStatus(head: ResponseHead, url: string): void {
  if (head.status !== 200 && head.status !== 206) throw statusError(head, url);
}

/** @throws SourceError when the content comes encoded: its bytes are not the file's (RFC 9110, section 8.4) */
export function refuseEncoding(head: ResponseHead, url: string): void {
  const encoding = head.headers.get('content-encoding');
  if (encoding === undefined || /^identity$/i.test(encoding)) return;
  throw new SourceError(
    { kind: 'protocol' },
    `${url} sends the file encoded (${encoding}), which was not asked for`,
  );
}

/** Holds a 206 answer against what was asked and what this source said before. */
export function checkPart(head: ResponseHead, asked: ByteRange, before: Validators, url: string): void {
  refuseStatus(head, url);
  refuseEncoding(head, url);
  const { status, headers } = head;
  if (status === 200)
    throw new SourceError({ kind: 'no-ranges' }, `${url} sends the whole file when asked for a part`);
  const header = headers.get('content-range');
  const content = header === undefined ? undefined : parseContentRange(header);
  if (content?.range === undefined) {
    const what =
      header === undefined ? 'no Content-Range' : `a Content-Range that cannot be read ("${header}")`;
    throw new SourceError({ kind: 'wrong-range' }, `${url} sends a part with ${what}`);
  }
  checkUnchanged({ ...validators(headers), size: content.size ?? before.size }, before, url);
  const { start, end } = content.range;
  if (start !== asked.start || end !== asked.end) {
    throw new SourceError(
      { kind: 'wrong-range' },
      `${url} sends bytes ${start}-${end - 1} when asked for ${asked.start}-${asked.end - 1}`,
    );
  }
  const length = headers.get('content-length');
  if (length !== undefined && Number(length) !== end - start) {
    throw new SourceError(
      { kind: 'wrong-range' },
      `${url} promises ${length} bytes for a part of ${end - start}`,
    );
  }
}

export function validators(headers: ResponseHead['headers']): Omit<Validators, 'size'> {
  return { etag: headers.get('etag'), lastModified: headers.get('last-modified') };
}

/** A file that changed on its server must not be spliced onto what came before. */
export function checkUnchanged(now: Validators, before: Validators, url: string): void {
  if (before instanceof Vouched && !before.heard) return hearFirst(now, before, url);
  const changed =
    now.size !== before.size
      ? `its size went from ${before.size} to ${now.size}`
      : now.etag !== before.etag
        ? `its ETag went from ${before.etag ?? 'none'} to ${now.etag ?? 'none'}`
        : // A strong ETag that stayed says that the bytes did, whatever the date says.
          now.etag === undefined && now.lastModified !== before.lastModified
          ? `its date went from ${before.lastModified ?? 'none'} to ${now.lastModified ?? 'none'}`
          : undefined;
  if (changed !== undefined) {
    throw new SourceError({ kind: 'changed' }, `the file at ${url} changed while it was read: ${changed}`);
  }
}

function hearFirst(now: Validators, before: Vouched, url: string): void {
  if (now.size !== before.size) {
    const sizes = `${now.size} bytes where the manifest says ${before.size}`;
    throw new SourceError({ kind: 'disagrees' }, `${url} has ${sizes}: it holds another file`);
  }
  before.hear(now);
}
