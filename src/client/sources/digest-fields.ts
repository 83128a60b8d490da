/** Digest fields of RFC 9530 and the older Digest of RFC 3230, as far as SHA-256 goes. */

/** The SHA-256 of the whole file that an answer states, lower-case hex. */
export function statedSha256(headers: ReadonlyMap<string, string>): string | undefined {
  const stated =
    /(?:^|[,\s])sha-256=:([A-Za-z0-9+/]{43}=):/i.exec(headers.get('repr-digest') ?? '') ??
    /(?:^|[,\s])sha-256=([A-Za-z0-9+/]{43}=)/i.exec(headers.get('digest') ?? '');
  return stated?.[1] === undefined ? undefined : Buffer.from(stated[1], 'base64').toString('hex');
}
