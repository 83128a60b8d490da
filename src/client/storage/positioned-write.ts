import { write, writeSync, writev, writevSync } from 'node:fs';

/**
 * Writes the buffers one after another from byte `position` on, whatever number of calls the system needs for it. With
 * the callback interface: this is the path of every byte, and a FileHandle costs more for each call.
 */
export function writeAt(fd: number, buffers: readonly Uint8Array[], position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let rest = buffers;
    let at = position;
    const onWritten = (error: Error | null, written: number): void => {
      if (error !== null) return reject(error);
      rest = after(rest, written);
      at += written;
      const first = rest[0];
      if (first === undefined) return resolve();
      // A device that takes nothing and says nothing would be asked for ever.
      if (written === 0 && at > position) return reject(new Error('the device takes no more bytes'));
      if (rest.length === 1) write(fd, first, 0, first.length, at, onWritten);
      else writev(fd, rest, at, onWritten);
    };
    onWritten(null, 0);
  });
}

/** The same with one call, in this thread. Gives how many bytes are written: not all, where anything is in the way. */
export function writeNowAt(fd: number, buffers: readonly Uint8Array[], position: number): number {
  const [first] = buffers;
  try {
    if (first === undefined) return 0;
    if (buffers.length === 1) return writeSync(fd, first, 0, first.length, position);
    return writevSync(fd, buffers, position);
  } catch {
    return 0;
  }
}

/** What is left of `buffers` when the first `written` bytes are gone; no empty buffers. */
function after(buffers: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  const rest: Uint8Array[] = [];
  let gone = written;
  for (const buffer of buffers) {
    if (gone < buffer.length) rest.push(gone === 0 ? buffer : buffer.subarray(gone));
    gone = Math.max(0, gone - buffer.length);
  }
  return rest;
}
