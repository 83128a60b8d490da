/** What is known of a file's content: enough to tell whether two runs mean the same file. */
export interface FileIdentity {
  /** Bytes in the file. */
  readonly size: number;
  /** SHA-256 of the whole file, lower-case hex. */
  readonly sha256?: string;
  /** SHA-256 of the canonical manifest, lower-case hex. */
  readonly manifest?: string;
}

/** `unknown`: the sizes agree and no digest is known of both, so only the bytes themselves can tell. */
export type Likeness = 'same' | 'different' | 'unknown';

/** Whether two identities are of one file. The digest of the whole decides before that of a manifest, since one file
 * can be cut in several ways. */
export function compareIdentity(one: FileIdentity, other: FileIdentity): Likeness {
  if (one.size !== other.size) return 'different';
  // Two files without a byte are the same file.
  if (one.size === 0) return 'same';
  if (one.sha256 !== undefined && other.sha256 !== undefined)
    return one.sha256 === other.sha256 ? 'same' : 'different';
  if (one.manifest !== undefined && other.manifest !== undefined)
    return one.manifest === other.manifest ? 'same' : 'different';
  return 'unknown';
}
