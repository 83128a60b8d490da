/** What a request target asks for. */

export type Asked =
  | { readonly kind: 'index' }
  | { readonly kind: 'file' | 'manifest'; readonly name: string }
  /** Not a name that anything could be served under. */
  | { readonly kind: 'nothing' };

const NOTHING: Asked = { kind: 'nothing' };

/**
 * Reads a request target in origin or absolute form (RFC 9112, section 3.2). Names are the decoded path segments
 * joined by "/". A segment that is empty, hidden, a step (`.`, `..`) or holds a separator or NUL after decoding makes
 * it nothing, so that no name can lead out of what is served. The target is taken as it was sent: a URL parser would
 * resolve `..` before it could be seen.
 */
export function parseTarget(target: string): Asked {
  let path = target;
  if (!path.startsWith('/')) {
    const absolute = /^https?:\/\/[^/?#]*(.*)$/i.exec(path);
    if (absolute === null) return NOTHING;
    path = absolute[1] ?? '';
    if (!path.startsWith('/')) path = `/${path}`;
  }
  const question = path.indexOf('?');
  const query = question < 0 ? '' : path.slice(question + 1);
  if (question >= 0) path = path.slice(0, question);
  if (path === '/') return { kind: 'index' };
  const name = decodeName(path.slice(1));
  if (name === undefined) return NOTHING;
  return { kind: new URLSearchParams(query).has('manifest') ? 'manifest' : 'file', name };
}

/** The path under which a name is asked for. */
export function pathOfName(name: string): string {
  return `/${name.split('/').map(encodeURIComponent).join('/')}`;
}

/** False for segments that are never served: empty, `.`, `..`, hidden, or with a separator or NUL in them. */
export function isServedSegment(segment: string): boolean {
  return segment !== '' && !segment.startsWith('.') && !/[/\\\0]/.test(segment);
}

function decodeName(path: string): string | undefined {
  let segments: string[];
  try {
    segments = path.split('/').map(decodeURIComponent);
  } catch {
    return undefined;
  }
  return segments.every(isServedSegment) ? segments.join('/') : undefined;
}
