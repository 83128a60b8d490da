/**
 * `attachment` with the file's name (RFC 6266). A name that is not plain ASCII, or that a browser could misread,
 * is given twice: as a fallback in ASCII and exactly, encoded (RFC 8187).
 */
export function contentDisposition(name: string): string {
  const base = name.slice(name.lastIndexOf('/') + 1);
  const fallback = base.replaceAll(/[^\x20-\x7e]/gu, '_').replaceAll(/["\\%]/g, '_');
  if (fallback === base) return `attachment; filename="${base}"`;
  return `attachment; filename="${fallback}"; filename*=UTF-8''${encodeExtended(base)}`;
}

/** Percent-encodes all but RFC 8187's attr-char. */
function encodeExtended(text: string): string {
  // encodeURIComponent leaves these four; none of them is an attr-char except "!".
  return encodeURIComponent(text.toWellFormed()).replaceAll(
    /['()*]/g,
    (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
