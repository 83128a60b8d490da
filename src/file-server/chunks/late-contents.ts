import { HeadwaterError } from '../../core/errors.ts';
import type { ContentStore, OpenedContent } from '../store.ts';

/** Milliseconds for which a content that is not here is not asked about again. */
const NOT_HERE_FOR = 2_000;
/** Contents remembered as not here. */
const MOST_NOT_HERE = 1_000;

/**
 * Contents, those too that the fleet has not told of yet: a grant can come before the event that says what this server's
 * chunks belong to. Only who has a grant can make it look.
 */
export class LateContents implements ContentStore {
  readonly #contents: ContentStore;
  readonly #find: (manifest: string) => Promise<void>;
  readonly #looking = new Map<string, Promise<void>>();
  /** When they may be asked about again, milliseconds of `performance.now()`. */
  readonly #notHere = new Map<string, number>();

  /** @param find asks the fleet what the content is, and holds it when chunks of it are here */
  constructor(contents: ContentStore, find: (manifest: string) => Promise<void>) {
    this.#contents = contents;
    this.#find = find;
  }

  /** @throws HeadwaterError `HW_UNAVAILABLE` when the fleet cannot be asked now, and those of any store */
  async openContent(manifest: string): Promise<OpenedContent | undefined> {
    const known = await this.#contents.openContent(manifest);
    if (known !== undefined || (this.#notHere.get(manifest) ?? 0) > performance.now()) return known;
    await this.#look(manifest);
    const found = await this.#contents.openContent(manifest);
    if (found === undefined) this.#remember(manifest);
    return found;
  }

  async #look(manifest: string): Promise<void> {
    let looking = this.#looking.get(manifest);
    if (looking === undefined) {
      looking = this.#find(manifest).finally(() => this.#looking.delete(manifest));
      this.#looking.set(manifest, looking);
    }
    try {
      await looking;
    } catch (cause) {
      const message = 'this server cannot find out now whether it holds that file; try again';
      throw new HeadwaterError('HW_UNAVAILABLE', message, {
        cause,
        details: { reason: 'unknown', retryAfter: 1 },
      });
    }
  }

  #remember(manifest: string): void {
    if (this.#notHere.size >= MOST_NOT_HERE) this.#notHere.clear();
    this.#notHere.set(manifest, performance.now() + NOT_HERE_FOR);
  }
}
