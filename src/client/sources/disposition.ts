/** File names that servers give (RFC 6266, and RFC 8187 for names beyond ASCII). */

/** The name in a Content-Disposition header, safe to use in a folder; undefined when there is none. */
export function dispositionName(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const extended = /;\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)/i.exec(header)?.[1];
  if (extended !== undefined) return safeName(decoded(extended));
  const quoted = /;\s*filename\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(header)?.[1];
  const plain = quoted?.replaceAll(/\\(.)/g, '$1') ?? /;\s*filename\s*=\s*([^;\s"]+)/i.exec(header)?.[1];
  return safeName(plain);
}

/** The last part of a URL's path, safe to use in a folder; undefined when there is none. */
export function urlName(url: URL): string | undefined {
  return safeName(decoded(url.pathname.split('/').at(-1) ?? ''));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A server names a file, never a place: no folders, no control characters, not hidden, not too long. */
function safeName(name: string | undefined): string | undefined {
  const last = name
    ?.split(/[/\\]/)
    .at(-1)
    ?.replaceAll(/\p{Cc}/gu, '')
    .replace(/^\.+/, '')
    .trim();
  if (last === undefined || last === '' || Buffer.byteLength(last) > 240) return undefined;
  return last;
}
