import type { BigIntStats } from 'node:fs';

/**
 * What tells one state of a file from another without reading it. The time of the last status change is part of it, so
 * that a writer who puts the old modification time back is noticed too.
 */
export interface FileIdentity {
  readonly size: number;
  readonly inode: string;
  /** Nanoseconds since 1970. */
  readonly modifiedNs: string;
  readonly changedNs: string;
}

export function identityOf(stats: BigIntStats): FileIdentity {
  return {
    size: Number(stats.size),
    inode: String(stats.ino),
    modifiedNs: String(stats.mtimeNs),
    changedNs: String(stats.ctimeNs),
  };
}

export function sameIdentity(a: FileIdentity, b: FileIdentity): boolean {
  return (
    a.size === b.size && a.inode === b.inode && a.modifiedNs === b.modifiedNs && a.changedNs === b.changedNs
  );
}

/** Milliseconds since 1970 of the youngest of its times. */
export function lastTouched(identity: FileIdentity): number {
  const modified = BigInt(identity.modifiedNs);
  const changed = BigInt(identity.changedNs);
  return Number((modified > changed ? modified : changed) / 1_000_000n);
}
