import { ChunkLayout } from '../../core/chunks.ts';
import type { ContentStore, OpenedContent } from '../store.ts';
import type { ChunkStore } from './chunk-store.ts';
import { ChunkedFile } from './chunked-file.ts';
import { digestAt, headOf, type HeldContents } from './held-contents.ts';

/** Contents that lie in the chunk store, all of them or a part. */
export class ChunkContents implements ContentStore {
  readonly #store: ChunkStore;
  readonly #held: HeldContents;

  constructor(store: ChunkStore, held: HeldContents) {
    this.#store = store;
    this.#held = held;
  }

  async openContent(manifest: string): Promise<OpenedContent | undefined> {
    const content = this.#held.content(manifest);
    if (content === undefined || (content.has.count === 0 && content.has.length > 0)) return undefined;
    const { packed, has } = content;
    const { size, chunkSize, sha256 } = headOf(packed);
    const layout = new ChunkLayout(size, chunkSize);
    const missing: number[] = [];
    if (has.count < has.length) {
      for (let at = 0; at < has.length; at++) if (!has.has(at)) missing.push(at);
    }
    // What it is called where it was published is not known here.
    const name = manifest;
    const digestOf = (chunk: number): string => digestAt(packed, chunk).toString('hex');
    return { file: new ChunkedFile(this.#store, name, layout, digestOf), sha256, name, layout, missing };
  }

  /** One chunk by its digest, as a file. */
  async openChunk(digest: string): Promise<ChunkedFile | undefined> {
    const opened = await this.#store.open(digest);
    if (opened === undefined) return undefined;
    await opened.handle.close();
    const { size } = opened;
    return new ChunkedFile(this.#store, digest, new ChunkLayout(size, Math.max(1, size)), () => digest);
  }
}
