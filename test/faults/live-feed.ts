import type { SourceFeed, SourceSpec } from '../../src/client/live-sources.ts';

/** A feed of sources that a test says the lists of. */
export class LiveFeed {
  /** It was told that the download is over. */
  over = false;
  readonly #lists: (readonly SourceSpec[])[] = [];
  #end: { error?: Error } | undefined;
  #news: PromiseWithResolvers<void> = Promise.withResolvers();

  get feed(): SourceFeed {
    return (signal) => this.#read(signal);
  }

  /** These are the sources from now on. */
  say(...list: readonly SourceSpec[]): void {
    this.#lists.push(list);
    this.#news.resolve();
  }

  end(error?: Error): void {
    this.#end = error === undefined ? {} : { error };
    this.#news.resolve();
  }

  async *#read(signal: AbortSignal): AsyncGenerator<readonly SourceSpec[]> {
    signal.addEventListener('abort', () => {
      this.over = true;
      this.#news.resolve();
    });
    while (!this.over) {
      const list = this.#lists.shift();
      if (list !== undefined) yield list;
      else if (this.#end?.error !== undefined) throw this.#end.error;
      else if (this.#end !== undefined) return;
      else {
        await this.#news.promise;
        this.#news = Promise.withResolvers();
      }
    }
  }
}
