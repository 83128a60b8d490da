import { HeadwaterError } from '../../core/errors.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT']);

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EACCES: 'not allowed',
  EPERM: 'not allowed',
  ENOENT: 'the folder does not exist',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  EROFS: 'the file system is read-only',
  EFBIG: 'the file is too large for this file system',
  EIO: 'the device failed',
  ELOOP: 'it is a symbolic link, or a circle of them',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many files are open',
};

/**
 * What went wrong with a local file, as `HW_DISK_FULL` or `HW_DISK`. An error of ours passes as it is.
 *
 * @param doing such as "write"
 */
export function diskError(cause: unknown, doing: string, path: string): HeadwaterError {
  if (cause instanceof HeadwaterError) return cause;
  const code = errorCode(cause) ?? '';
  const why = WORDS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  const full = FULL.has(code);
  const follows = full ? '; what is there is kept, and the same command goes on when there is room' : '';
  return new HeadwaterError(full ? 'HW_DISK_FULL' : 'HW_DISK', `cannot ${doing} ${path}: ${why}${follows}`, {
    cause,
    details: { path },
  });
}

/** The system's name for an error, such as "ENOENT". */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Waits for `work`; an error that it ends with becomes a disk error. */
export async function onDisk<T>(work: Promise<T>, doing: string, path: string): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw diskError(cause, doing, path);
  }
}

/** Waits for `work`, and lets pass that the file is not there. */
export async function unlessMissing(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}
