import type { ContentStore, OpenedContent } from '../store.ts';

/**
 * Contents of two stores as one. One that is in both is served from the first where that has all of it, otherwise from the
 * one that has more.
 */
export class EitherContents implements ContentStore {
  readonly #first: ContentStore;
  readonly #second: ContentStore;

  constructor(first: ContentStore, second: ContentStore) {
    this.#first = first;
    this.#second = second;
  }

  async openContent(manifest: string): Promise<OpenedContent | undefined> {
    const first = await this.#first.openContent(manifest);
    if (first?.missing.length === 0) return first;
    let second: OpenedContent | undefined;
    try {
      second = await this.#second.openContent(manifest);
    } catch (error) {
      first?.file.close();
      throw error;
    }
    if (first === undefined || second === undefined) return first ?? second;
    const [best, other] = first.missing.length <= second.missing.length ? [first, second] : [second, first];
    other.file.close();
    return best;
  }
}
