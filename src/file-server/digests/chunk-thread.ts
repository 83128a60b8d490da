/** Thread: digests the chunks of the file that the reader thread reads. It blocks on purpose. */
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';

import { ChunkLayout } from '../../core/chunks.ts';
import { BlockRing } from './block-ring.ts';
import type { ChunkJob, ChunkResult, ThreadData } from './thread-messages.ts';

const { ring: memory } = workerData as ThreadData;

parentPort?.on('message', (job: ChunkJob) => {
  parentPort?.postMessage(digestChunks(job, new BlockRing(memory)), []);
});

function digestChunks({ size }: ChunkJob, ring: BlockRing): ChunkResult {
  const layout = new ChunkLayout(size);
  const digests: string[] = [];
  let hash = createHash('sha256');
  let position = 0;
  while (position < size) {
    const block = ring.toEmpty();
    if (block === undefined) return undefined;
    let taken = 0;
    while (taken < block.length) {
      const end = layout.end(digests.length);
      const part = block.subarray(taken, Math.min(block.length, taken + end - position));
      hash.update(part);
      taken += part.length;
      position += part.length;
      if (position === end) {
        digests.push(hash.digest('hex'));
        hash = createHash('sha256');
      }
    }
    ring.emptied();
  }
  return digests;
}
