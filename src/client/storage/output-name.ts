import { link, lstat, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { HeadwaterError } from '../../core/errors.ts';
import { errorCode, onDisk, unlessMissing } from './disk-error.ts';
import { syncFolder } from './journal-file.ts';

/**
 * Holds `output` against what is there.
 *
 * @throws HeadwaterError `HW_OUTPUT_EXISTS` when it is there and `force` is not set; `HW_DISK` when it is something that
 * cannot be replaced by a file
 */
export async function refuseExisting(output: string, options: { force: boolean }): Promise<void> {
  const there = await onDisk(kindOf(output), 'write', output);
  if (there === 'nothing') return;
  if (there === 'something')
    throw new HeadwaterError('HW_DISK', `cannot write ${output}: it is there and is no regular file`, {
      details: { path: output },
    });
  if (!options.force) throw exists(output);
}

/** Renames a finished file, without replacing anything unless `force` is set, and makes the name last. */
export async function giveName(path: string, output: string, options: { force: boolean }): Promise<void> {
  await refuseExisting(output, options);
  if (options.force) await onDisk(rename(path, output), 'write', output);
  else await onDisk(linkAs(path, output), 'write', output);
  // Also after rename, which leaves both names where they are of one file already (a run killed between them).
  await onDisk(unlessMissing(rm(path)), 'remove', path);
  await onDisk(syncFolder(dirname(output)), 'sync', dirname(output));
}

/** A link, unlike a rename, never replaces what appeared in the meantime. */
async function linkAs(path: string, output: string): Promise<void> {
  try {
    await link(path, output);
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (code === 'EEXIST') throw exists(output);
    // No links on this file system; the name was free a moment ago.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code)) throw error;
    await rename(path, output);
  }
}

async function kindOf(path: string): Promise<'nothing' | 'file' | 'something'> {
  try {
    return (await stat(path)).isFile() ? 'file' : 'something';
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  try {
    // A symbolic link to nothing.
    return (await lstat(path)).isSymbolicLink() ? 'file' : 'something';
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    return 'nothing';
  }
}

function exists(output: string): HeadwaterError {
  return new HeadwaterError('HW_OUTPUT_EXISTS', `${output} is there already; --force replaces it`, {
    details: { path: output },
  });
}
