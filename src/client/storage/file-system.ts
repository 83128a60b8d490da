import { statfs } from 'node:fs/promises';

/**
 * File systems whose writes go into this machine's page cache and from there to its own devices, by the number that
 * Linux gives them (linux/magic.h). Not among them: whatever asks another machine (NFS, SMB, Ceph, 9P) or another
 * process (FUSE), and all that is not known here.
 */
const LOCAL: ReadonlySet<number> = new Set([
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
]);

/** What is written to the file goes into this machine's memory first. False too where that cannot be found out. */
export async function isLocal(path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  try {
    return LOCAL.has((await statfs(path)).type);
  } catch {
    return false;
  }
}
