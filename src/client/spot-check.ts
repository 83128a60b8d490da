import { createHash, randomInt } from 'node:crypto';

import type { ChunkLayout } from '../core/chunks.ts';
import { formatRange, type ByteRange } from '../core/ranges.ts';
import type { Connection } from '../transport/connection.ts';
import { readAll } from '../transport/read-all.ts';
import type { Content } from './destinations/destination.ts';
import { checkPart } from './sources/answer.ts';
import { bounded } from './sources/deadline.ts';
import { SourceError } from './sources/fault.ts';
import type { Introduction, Source } from './sources/source.ts';

/**
 * Where no digest is known, sources are held against each other on a few blocks. It finds another version, another file,
 * or an error page of the same length; it cannot find one flipped bit.
 */

/** Blocks that are compared. */
const BLOCKS = 3;
/** Bytes in a block: too few to slow the slowest source down, enough that different files differ there. */
const BLOCK_BYTES = 16 * 1024;
/** Milliseconds that a source gets for them, with a second for each answer to begin and 16 KiB a second after that. */
const MOST_TIME = 6_000;

/** Blocks at places that nobody can predict, out of the given parts of the file. */
export function randomBlocks(parts: readonly ByteRange[]): ByteRange[] {
  const usable = parts.filter((part) => part.end > part.start);
  if (usable.length === 0) return [];
  return Array.from({ length: BLOCKS }, () => {
    const part = usable[randomInt(usable.length)] ?? { start: 0, end: 1 };
    const length = Math.min(BLOCK_BYTES, part.end - part.start);
    const start = part.start + below(part.end - part.start - length + 1);
    return { start, end: start + length };
  });
}

/** A random whole number below `limit`, for limits beyond what randomInt takes (2^48) too. */
function below(limit: number): number {
  return limit < 2 ** 48 ? randomInt(limit) : Math.floor(Math.random() * limit);
}

/**
 * What a source sends for the blocks: one SHA-256 over all of them.
 *
 * @param connection to the source's target, not used by others now; stays open
 * @throws SourceError
 */
export async function fingerprint(
  source: Source,
  introduction: Introduction,
  blocks: readonly ByteRange[],
  signal: AbortSignal,
  connection: Connection = source.connection(0),
): Promise<string> {
  return bounded(connection, { signal, most: MOST_TIME, shown: source.shown }, async () => {
    const hash = createHash('sha256');
    for (const block of blocks) {
      const headers = { ...source.headersFor(source.target), range: formatRange(block) };
      const request = { method: 'GET' as const, url: source.target, headers };
      const { head, body } = await readAll(connection, request, block.end - block.start);
      checkPart(head, block, introduction, source.shown);
      if (body.length !== block.end - block.start) {
        throw new SourceError({ kind: 'connect' }, `${source.shown} sends less than was asked for`);
      }
      hash.update(body);
    }
    return hash.digest('hex');
  });
}

/**
 * Whether bytes that are here agree with what one of `others` sends for them; undefined when nobody could be asked.
 *
 * @param chunks those whose bytes are doubted
 */
export async function heldAgainst(
  content: Content,
  layout: ChunkLayout,
  chunks: readonly number[],
  others: readonly (readonly [Source, Introduction])[],
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const blocks = randomBlocks(
    chunks.map((chunk) => ({ start: layout.start(chunk), end: layout.end(chunk) })),
  );
  const hash = createHash('sha256');
  for (const block of blocks) hash.update(await content.read(block));
  const own = hash.digest('hex');
  for (const [source, introduction] of others) {
    try {
      return (await fingerprint(source, introduction, blocks, signal)) === own;
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
    }
  }
  return undefined;
}
