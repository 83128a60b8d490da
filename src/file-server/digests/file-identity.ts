import type { BigIntStats } from 'node:fs';

/**
 * What tells one state of a file from another without reading it. The time of the last status change is part of it, so
 * that a writer who puts the old modification time back is noticed too.
 */
export interface FileIdentity {
  readonly size: bigint;
  readonly inode: bigint;
  /** Nanoseconds since 1970. */
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

export function identityOf({ size, ino, mtimeNs, ctimeNs }: BigIntStats): FileIdentity {
  return { size, inode: ino, modifiedNs: mtimeNs, changedNs: ctimeNs };
}

export function sameIdentity(a: FileIdentity, b: FileIdentity): boolean {
  return (
    a.size === b.size && a.inode === b.inode && a.modifiedNs === b.modifiedNs && a.changedNs === b.changedNs
  );
}

/** Milliseconds since 1970 of the youngest of its times. */
export function lastTouched({ modifiedNs, changedNs }: FileIdentity): number {
  return Number((modifiedNs > changedNs ? modifiedNs : changedNs) / 1_000_000n);
}

/** As text that is the same only for the same state. */
export function identityText({ size, inode, modifiedNs, changedNs }: FileIdentity): string {
  return [size, inode, modifiedNs, changedNs].join(' ');
}

/** The other way round. */
export function identityOfText(text: string): FileIdentity {
  const [size = 0n, inode = 0n, modifiedNs = 0n, changedNs = 0n] = text.split(' ').map(BigInt);
  return { size, inode, modifiedNs, changedNs };
}
