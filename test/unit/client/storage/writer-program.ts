// Fills a file as a download does, until it is whole or the process is killed: writer-program.ts OUTPUT SIZE CHUNK
import { setTimeout as pause } from 'node:timers/promises';

import { openPartFile } from '../../../../src/client/storage/open-part-file.ts';
import { ChunkLayout } from '../../../../src/core/chunks.ts';
import { bytesAt } from './scratch.ts';

const LANES = 40;

const [output = '', size = '', chunkSize = ''] = process.argv.slice(2);
const layout = new ChunkLayout(Number(size), Number(chunkSize));
const part = await openPartFile({ output, identity: { size: layout.size, sha256: 'a'.repeat(64) }, layout });
process.stdout.write('open\n');

/** Longer than a chunk that is done takes to be in the journal, so that one told of too soon would be seen. */
const likeANetwork = (): Promise<void> => pause(Math.random() * 25);

/** Wrong bytes first, as from a liar, then the right ones in two pieces. */
async function write(chunk: number): Promise<void> {
  const [start, bytes] = [layout.start(chunk), layout.bytes(chunk)];
  await part.write(bytesAt(start, bytes, 9), start);
  await likeANetwork();
  await part.write(bytesAt(start, bytes >> 1), start);
  await likeANetwork();
  await part.write(bytesAt(start + (bytes >> 1), bytes - (bytes >> 1)), start + (bytes >> 1));
}

async function lane(chunks: number[]): Promise<void> {
  for (let chunk = chunks.pop(); chunk !== undefined; chunk = chunks.pop()) {
    await write(chunk);
    part.markDone(chunk);
    if (chunk % 100 === 0) await part.flush();
    if (chunk % 20 !== 0) continue;
    await likeANetwork();
    await part.unmark([chunk]);
    await write(chunk);
    part.markDone(chunk);
  }
}

const missing = Array.from({ length: layout.count }, (_, i) => i).filter((i) => !part.done.has(i));
missing.sort(() => Math.random() - 0.5);
await Promise.all(Array.from({ length: LANES }, () => lane(missing)));
await part.finish();
process.stdout.write('whole\n');
