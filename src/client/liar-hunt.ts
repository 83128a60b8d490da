import { HeadwaterError } from '../core/errors.ts';
import type { Content } from './destinations/destination.ts';
import type { Source } from './sources/source.ts';
import { Tally } from './tally.ts';

interface Hunt {
  readonly content: Content;
  /** What must come out. */
  readonly sha256: string;
  readonly tally: Tally;
  /** Everybody who may be asked. */
  readonly sources: readonly Source[];
  /** How little a source is trusted; the most doubtful is suspected first. */
  readonly doubt: (source: Source) => number;
  readonly reopen: (chunks: readonly number[]) => Promise<void>;
  /** Fetches what is missing from these sources alone. */
  readonly fetch: (from: readonly Source[]) => Promise<void>;
  readonly digest: () => Promise<string | undefined>;
  readonly banned: (source: Source, message: string) => void;
}

/** A chunk as some source gave it, before it was fetched again. */
interface Testimony {
  readonly giver: number;
  readonly chunk: number;
  readonly digest: string;
}

/**
 * Every byte is here, and the digest of the whole is wrong. What one source gave is fetched again from the others, the most
 * doubtful source first; when no single liar explains it, everything is fetched from one source alone, each in turn. As
 * long as one source is honest, one of these comes out right, and then every copy that differs names its giver.
 *
 * @throws HeadwaterError `HW_VERIFICATION` when nobody has the right bytes
 */
export async function findLiars(hunt: Hunt): Promise<void> {
  const { content, tally, sources, doubt } = hunt;
  const suspects = [...sources].sort(
    (a, b) => doubt(b) - doubt(a) || tally.bytesOf(a.id) - tally.bytesOf(b.id),
  );
  const trusted: (readonly Source[])[] = [
    // An earlier run's bytes are the least certain: nobody knows any more who gave them.
    suspects,
    ...suspects.map((suspect) => suspects.filter((source) => source !== suspect)),
    ...suspects.toReversed().map((source) => [source]),
  ];
  const heard: Testimony[] = [];
  for (const [turn, trust] of trusted.entries()) {
    const chunks = [...tally.givers()]
      .filter((giver) => !trust.some((source) => source.id === giver))
      .flatMap((giver) => tally.chunksOf(giver));
    if (trust.length === 0 || chunks.length === 0) continue;
    for (const chunk of chunks) {
      heard.push({
        giver: tally.giver(chunk) ?? Tally.earlier,
        chunk,
        digest: await content.chunkDigest(chunk),
      });
    }
    await hunt.reopen(chunks);
    await hunt.fetch(trust);
    if ((await hunt.digest()) === hunt.sha256) return name(hunt, heard);
    if (sources.length === 1 && turn > 0) break;
  }
  throw new HeadwaterError(
    'HW_VERIFICATION',
    `no source has bytes that match SHA-256 ${hunt.sha256}: ${sources.map((source) => source.shown).join(', ')}`,
  );
}

/** The file is right now: whoever gave something else lied. */
async function name(hunt: Hunt, heard: readonly Testimony[]): Promise<void> {
  const lies = new Map<number, number>();
  for (const { giver, chunk, digest } of heard) {
    if (digest !== (await hunt.content.chunkDigest(chunk))) lies.set(giver, (lies.get(giver) ?? 0) + 1);
  }
  for (const source of hunt.sources) {
    const count = lies.get(source.id);
    if (count !== undefined) hunt.banned(source, `${source.shown} sent wrong bytes in ${count} chunks`);
  }
}
