import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Readable } from 'node:stream';

import { HeadwaterError } from '../../core/errors.ts';
import { diskError } from '../storage/disk-error.ts';
import { LocalFile } from './local-file.ts';
import { spooled } from './spool.ts';
import type { UploadSource } from './types.ts';

/** What a stream is called in messages. */
const STREAM = 'standard input';

/**
 * Opens what is to be published. What has no size, a stream or a pipe, goes to a temporary file first.
 *
 * @throws HeadwaterError `HW_USAGE`, `HW_DISK`, `HW_DISK_FULL`, `HW_INTERRUPTED`
 */
export async function openInput(
  source: UploadSource,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<LocalFile> {
  if (typeof source !== 'string') return spooled(source, STREAM, signal, onBytes);
  const found = await stat(source).catch((cause: unknown) => {
    throw diskError(cause, 'read', source);
  });
  if (found.isDirectory()) {
    throw new HeadwaterError('HW_USAGE', `${source} is a folder: its files are published one by one`);
  }
  if (found.isFile()) return LocalFile.open(source);
  const stream: Readable = createReadStream(source);
  return spooled(stream, source, signal, onBytes);
}

/** @throws HeadwaterError `HW_USAGE` */
export function inputName(source: UploadSource, name: string | undefined): string {
  if (name !== undefined) return name;
  if (typeof source === 'string') return basename(resolve(source));
  throw new HeadwaterError('HW_USAGE', 'a stream has no name of its own: give one');
}
