/**
 * Thread: reads a file once, digests the whole, and hands every block on to the thread that digests chunks. It blocks
 * on purpose; nothing else runs in it.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

import { BlockRing } from './block-ring.ts';
import { identityOf, sameIdentity } from './file-identity.ts';
import {
  CONTROL_READ,
  CONTROL_REST,
  type ReadJob,
  type ReadResult,
  type ThreadData,
} from './thread-messages.ts';

const { ring: memory, control: controlMemory } = workerData as ThreadData;
const control = new Int32Array(controlMemory);

parentPort?.on('message', (job: ReadJob) => {
  Atomics.store(control, CONTROL_READ, 0);
  const ring = new BlockRing(memory);
  let result: ReadResult;
  try {
    result = digest(job, ring);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    result = { kind: 'failed', message, code };
  }
  if (result.kind !== 'done') ring.breakOff();
  parentPort?.postMessage(result, []);
});

function digest({ path, identity }: ReadJob, ring: BlockRing): ReadResult {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const isSame = () => sameIdentity(identityOf(fstatSync(file, { bigint: true })), identity);
  try {
    if (!isSame()) return { kind: 'changed' };
    const size = Number(identity.size);
    const whole = createHash('sha256');
    let position = 0;
    while (position < size) {
      while (Atomics.load(control, CONTROL_REST) === 1) Atomics.wait(control, CONTROL_REST, 1);
      const block = ring.toFill();
      const bytes = readSync(file, block, 0, Math.min(block.length, size - position), position);
      if (bytes === 0 || !isSame()) return { kind: 'changed' };
      const read = block.subarray(0, bytes);
      // The other side may empty the block as soon as it is handed over, and never changes it before that.
      ring.filled(bytes);
      whole.update(read);
      position += bytes;
      Atomics.store(control, CONTROL_READ, Math.floor(position / (1024 * 1024)));
    }
    return isSame() ? { kind: 'done', sha256: whole.digest('hex') } : { kind: 'changed' };
  } finally {
    closeSync(file);
  }
}
