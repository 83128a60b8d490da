import { randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { HeadwaterError } from '../../core/errors.ts';
import { diskError } from '../storage/disk-error.ts';
import { LocalFile } from './local-file.ts';

/**
 * Writes a stream to a temporary file that nobody else sees and that is gone when it is closed, or this process ends in
 * whatever way. How a file is cut depends on its size, and what a server loses is sent again: both need all of it.
 *
 * @param name what the stream is called in messages
 * @throws HeadwaterError `HW_DISK_FULL`, `HW_DISK`, `HW_INTERRUPTED`
 */
export async function spooled(
  stream: Readable,
  name: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<LocalFile> {
  const path = join(tmpdir(), `headwater-put-${randomUUID()}`);
  const doing = 'keep what comes in the temporary file';
  const handle = await open(path, 'wx+', 0o600).catch((cause: unknown) => {
    throw diskError(cause, doing, path);
  });
  const stop = (): void => void stream.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await unlink(path);
    let position = 0;
    for await (const part of stream as AsyncIterable<Buffer | string>) {
      const bytes = typeof part === 'string' ? Buffer.from(part) : part;
      for (let at = 0; at < bytes.length;) {
        const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position);
        at += bytesWritten;
        position += bytesWritten;
      }
      onBytes(position);
    }
    if (signal.aborted) throw stopped(signal);
  } catch (cause) {
    await handle.close();
    if (signal.aborted) throw stopped(signal);
    throw diskError(cause, doing, path);
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return LocalFile.of(name, handle);
}

function stopped(signal: AbortSignal): HeadwaterError {
  return new HeadwaterError('HW_INTERRUPTED', 'stopped', { cause: signal.reason });
}
