import type { Bitmap } from '../core/bitmap.ts';
import { HeadwaterError } from '../core/errors.ts';
import type { Content } from './destinations/destination.ts';
import type { Patience } from './fetching.ts';
import type { Source } from './sources/source.ts';
import { Tally } from './tally.ts';

interface Hunt {
  readonly content: Content;
  /** What must come out. */
  readonly sha256: string;
  readonly done: Bitmap;
  readonly tally: Tally;
  /** Everybody who may be asked now. */
  readonly sources: () => readonly Source[];
  /** How little a source is trusted; the most doubtful is suspected first. */
  readonly doubt: (source: Source) => number;
  readonly reopen: (chunks: readonly number[]) => Promise<void>;
  /** Fetches what is missing from these sources alone; false: none of them is there. */
  readonly fetch: (from: readonly Source[], patience: Patience) => Promise<boolean>;
  readonly digest: () => Promise<string | undefined>;
  /** Called for each giver of wrong chunks (`Tally.earlier` is one too), when the file is right. */
  readonly named: (giver: number, chunks: number) => void;
  /** Called when nobody else is left to be asked. */
  readonly waiting: (away: readonly Source[]) => void;
}

/**
 * Every byte is here, and the digest of the whole is wrong. What one source gave is fetched again from the others, the most
 * doubtful source first; when no single liar explains it, everything is fetched from one source alone, each in turn. As
 * long as one source is honest, one of these comes out right, and then every copy that differs names its giver.
 *
 * @throws HeadwaterError `HW_VERIFICATION` when nobody has the right bytes
 */
export async function findLiars(hunt: Hunt): Promise<void> {
  const { doubt, tally } = hunt;
  const suspects = [...hunt.sources()].sort(
    (a, b) => doubt(b) - doubt(a) || tally.bytesOf(a.id) - tally.bytesOf(b.id),
  );
  const testimony = new Testimony(hunt);
  const turns = [
    // An earlier run's bytes are the least certain: nobody knows any more who gave them.
    suspects,
    ...suspects.map((suspect) => suspects.filter((source) => source !== suspect)),
  ];
  for (const trusted of turns)
    if ((await trust(hunt, trusted, testimony)) === 'right') return testimony.name();
  let alone = suspects.toReversed();
  for (;;) {
    const away: Source[] = [];
    for (const source of alone) {
      const found = await trust(hunt, [source], testimony);
      if (found === 'right') return testimony.name();
      if (found === 'nobody there') away.push(source);
    }
    alone = away.filter((source) => hunt.sources().includes(source));
    if (alone.length === 0) throw nobodyIsRight(hunt, suspects);
    hunt.waiting(alone);
    if ((await trust(hunt, alone, testimony, 'until banned')) === 'right') return testimony.name();
  }
}

/** Has the file come from these sources alone. */
async function trust(
  hunt: Hunt,
  trusted: readonly Source[],
  testimony: Testimony,
  patience: Patience = 'until away',
): Promise<'right' | 'wrong' | 'nobody there'> {
  const { tally, done } = hunt;
  const others = [...tally.givers()].filter((giver) => !trusted.some((source) => source.id === giver));
  const chunks = others.flatMap((giver) => tally.chunksOf(giver)).filter((chunk) => done.has(chunk));
  if (chunks.length === 0 && done.count === done.length) return 'wrong';
  await testimony.take(chunks);
  await hunt.reopen(chunks);
  tally.forget(chunks);
  if (!(await hunt.fetch(trusted, patience))) return 'nobody there';
  return (await hunt.digest()) === hunt.sha256 ? 'right' : 'wrong';
}

/** What each source said of each chunk, before it was fetched again. */
class Testimony {
  readonly #hunt: Hunt;
  readonly #said = new Map<number, Map<number, string>>();

  constructor(hunt: Hunt) {
    this.#hunt = hunt;
  }

  async take(chunks: readonly number[]): Promise<void> {
    const { tally, content } = this.#hunt;
    for (const chunk of chunks) {
      const giver = tally.giver(chunk) ?? Tally.earlier;
      const said = this.#said.get(giver) ?? new Map<number, string>();
      this.#said.set(giver, said.set(chunk, await content.chunkDigest(chunk)));
    }
  }

  /** The file is right now: whoever gave something else lied. */
  async name(): Promise<void> {
    for (const [giver, said] of this.#said) {
      let lies = 0;
      for (const [chunk, digest] of said) {
        if (digest !== (await this.#hunt.content.chunkDigest(chunk))) lies++;
      }
      if (lies > 0) this.#hunt.named(giver, lies);
    }
  }
}

function nobodyIsRight(hunt: Hunt, asked: readonly Source[]): HeadwaterError {
  const names = asked.map((source) => source.shown).join(', ');
  return new HeadwaterError(
    'HW_VERIFICATION',
    `no source has bytes that match SHA-256 ${hunt.sha256} (${names})`,
  );
}
