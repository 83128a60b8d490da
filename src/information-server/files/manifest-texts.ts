import { HeadwaterError } from '../../core/errors.ts';
import { canonicalManifest, MANIFEST_VERSION, type Manifest } from '../../core/manifest.ts';
import type { Queries } from '../../database/database.ts';
import { perContext } from '../per-context.ts';
import type { FileFacts } from './file-facts.ts';

/** Characters of manifests that are remembered: a hundred files of 1 GiB that everyone wants at once. */
const MOST_REMEMBERED_TEXT = 8_000_000;
/** Bytes of a digest. */
const DIGEST = 32;

type Content = Pick<FileFacts, 'contentId' | 'size' | 'chunkSize' | 'sha256'>;

/** The digests of a content's chunks, 32 bytes each. */
export async function readChunkDigests(
  db: Queries,
  { contentId }: Pick<Content, 'contentId'>,
): Promise<Buffer> {
  const row = await db
    .selectFrom('contents')
    .select('chunk_digests')
    .where('id', '=', contentId)
    .executeTakeFirst();
  const digests = row?.chunk_digests ?? undefined;
  if (digests === undefined)
    throw new HeadwaterError('HW_NOT_FOUND', 'no server has told the manifest of this file yet');
  return Buffer.from(digests.buffer, digests.byteOffset, digests.byteLength);
}

export function manifestOf(
  { size, chunkSize, sha256 }: Pick<Content, 'size' | 'chunkSize' | 'sha256'>,
  digests: Buffer,
): Manifest {
  const chunks: string[] = [];
  for (let at = 0; at < digests.length; at += DIGEST) chunks.push(digests.toString('hex', at, at + DIGEST));
  return { version: MANIFEST_VERSION, size, chunkSize, sha256, chunks };
}

/** Manifests in JSON. A content never changes: they are remembered as long as there is room, those asked for last. */
class ManifestTexts {
  readonly #db: Queries;
  readonly #known = new Map<number, string>();
  #length = 0;

  constructor(db: Queries) {
    this.#db = db;
  }

  /**
   * The canonical text.
   *
   * @throws HeadwaterError `HW_NOT_FOUND` when no server has told it yet
   */
  async get(content: Content): Promise<string> {
    const id = content.contentId;
    const known = this.#known.get(id);
    if (known !== undefined) {
      this.#known.delete(id);
      this.#known.set(id, known);
      return known;
    }
    const text = canonicalManifest(manifestOf(content, await readChunkDigests(this.#db, content)));
    if (!this.#known.has(id) && text.length <= MOST_REMEMBERED_TEXT) {
      this.#known.set(id, text);
      this.#length += text.length;
    }
    for (const [oldest, dropped] of this.#known) {
      if (this.#length <= MOST_REMEMBERED_TEXT) break;
      this.#known.delete(oldest);
      this.#length -= dropped.length;
    }
    return text;
  }
}

export const manifestTextsOf = perContext(({ database }) => new ManifestTexts(database.queries));
