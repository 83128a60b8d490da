/** File names that servers give (RFC 6266, and RFC 8187 for names beyond ASCII). */

/** The name in a Content-Disposition header, safe to use in a folder; undefined when there is none. */
export function dispositionName(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const extended = /;\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)/i.exec(header)?.[1];
  if (extended !== undefined) return safeName(decoded(extended));
  // Some servers send UTF-8 as it is; each byte came as the character of that number.
  const quoted = /;\s*filename\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(header)?.[1];
  const plain = quoted?.replaceAll(/\\(.)/g, '$1') ?? /;\s*filename\s*=\s*([^;\s"]+)/i.exec(header)?.[1];
  return safeName(plain === undefined ? undefined : utf8(plain));
}

/** The last part of a URL's path, safe to use in a folder; undefined when there is none. */
export function urlName(url: URL): string | undefined {
  return safeName(decoded(url.pathname.split('/').at(-1) ?? ''));
}

function utf8(text: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(text, 'latin1'));
  } catch {
    return text;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Longest name, bytes: what stands beside it while it is fetched has longer ones, and file systems end at 255. */
const MOST_NAME_BYTES = 200;
/** Longest ending that is kept when a name is cut, bytes, with its dot. */
const MOST_ENDING_BYTES = 20;
/** Control characters, and those that make a terminal show the rest in another order. */
const UNSAFE = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** A server names a file, never a place: no folders, no control characters, not hidden, not too long. */
function safeName(name: string | undefined): string | undefined {
  const last = name
    ?.split(/[/\\]/)
    .at(-1)
    ?.replaceAll(UNSAFE, '')
    .replace(/^[.\s]+/, '')
    .trim();
  return last === undefined || last === '' ? undefined : shortened(last);
}

/** Cut before its ending. */
function shortened(name: string): string {
  if (Buffer.byteLength(name) <= MOST_NAME_BYTES) return name;
  const [ending = ''] = /\.[^.]+$/.exec(name) ?? [];
  const kept = Buffer.byteLength(ending) <= MOST_ENDING_BYTES ? ending : '';
  let bytes = Buffer.byteLength(kept);
  let begin = '';
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > MOST_NAME_BYTES) break;
    begin += character;
  }
  return begin + kept;
}
