/** Byte ranges as HTTP writes them (RFC 9110, sections 14.1 to 14.4). Inside the program `end` is exclusive. */

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** `bytes=first-last` for one range. */
export function formatRange({ start, end }: ByteRange): string {
  return `bytes=${start}-${end - 1}`;
}

/** `bytes first-last/size` for a 206 answer. */
export function formatContentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`;
}

/** What a Content-Range header says; `size` is undefined where it is `*`, `range` where it is unsatisfied (416). */
export interface ContentRange {
  readonly range: ByteRange | undefined;
  readonly size: number | undefined;
}

/** Undefined when the header is malformed or contradicts itself (RFC 9110, section 14.4). */
export function parseContentRange(header: string): ContentRange | undefined {
  const match = /^bytes (?:(\d{1,16})-(\d{1,16})|\*)\/(?:(\d{1,16})|\*)$/i.exec(header.trim());
  if (match === null) return undefined;
  const size = match[3] === undefined ? undefined : Number(match[3]);
  if (match[1] === undefined || match[2] === undefined)
    return size === undefined ? undefined : { range: undefined, size };
  const start = Number(match[1]);
  const end = Number(match[2]) + 1;
  if (end <= start || (size !== undefined && end > size)) return undefined;
  return { range: { start, end }, size };
}

/**
 * What a Range header asks of a file of `size` bytes (RFC 9110, section 14.2).
 *
 * - `undefined`: no byte range, malformed, or more than one range; the whole file is the right answer to it.
 * - `'unsatisfiable'`: 416.
 */
export function parseRange(header: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header);
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') {
    if (last === '') return undefined;
    const length = Number(last);
    if (length === 0) return 'unsatisfiable';
    // The last bytes of an empty file are all of it, which no Content-Range can say.
    if (size === 0) return undefined;
    return { start: Math.max(0, size - length), end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) };
}
