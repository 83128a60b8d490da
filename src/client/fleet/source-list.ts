import { setTimeout as sleep } from 'node:timers/promises';

import type { Download, DownloadSource, SourcesAnswer } from '../../core/api/files.ts';
import { Bitmap } from '../../core/bitmap.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { layoutOf, type Manifest } from '../../core/manifest.ts';
import type { HeaderFields, SourceFeed, SourceSpec } from '../live-sources.ts';
import type { FleetClient } from './fleet-client.ts';

/** Seconds for which an information server keeps the question open while nothing changes. */
const WAIT = 25;
/** Milliseconds until sources are asked for again when no information server was there, or it answered at once. */
const FIRST_PAUSE = 500;
const MOST_PAUSE = 10_000;

export interface SourceListParts {
  readonly client: FleetClient;
  readonly download: Download;
  readonly manifest: Manifest;
  readonly headers: HeaderFields;
  /** Called with each list, as it was told. */
  readonly onList?: (sources: readonly DownloadSource[]) => void;
}

/** The fleet's servers that hold the file, as sources of a download: those of the grant, then as they change. */
export class SourceList {
  readonly #parts: SourceListParts;

  constructor(parts: SourceListParts) {
    this.#parts = parts;
  }

  /** Those that the grant came with. */
  get first(): SourceSpec[] {
    return this.#specs(this.#parts.download.sources);
  }

  /**
   * Every list after the first. When every information server is away, it waits for them: the download goes on with the
   * sources that it has. It ends when the fleet says that there is nothing more to ask: the grant was revoked, the
   * session is over.
   */
  readonly feed: SourceFeed = (signal) => this.#lists(signal);

  async *#lists(signal: AbortSignal): AsyncGenerator<readonly SourceSpec[]> {
    const { client, download } = this.#parts;
    let { version } = download;
    let pause = FIRST_PAUSE;
    while (!signal.aborted) {
      const asked = performance.now();
      try {
        const answer = await client.ask<SourcesAnswer>('GET', `v1/downloads/${download.id}/sources`, {
          query: { version, wait: WAIT },
          wait: WAIT,
          signal,
        });
        if (answer.version !== version) {
          version = answer.version;
          pause = FIRST_PAUSE;
          yield this.#specs(answer.sources);
          continue;
        }
        if (performance.now() - asked > FIRST_PAUSE) continue;
        // Nothing new, and no waiting: one that does not keep questions open.
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof HeadwaterError) || error.remedy !== 'wait') return;
      }
      await sleep(pause, undefined, { signal }).catch(() => undefined);
      pause = Math.min(MOST_PAUSE, pause * 2);
    }
  }

  #specs(sources: readonly DownloadSource[]): SourceSpec[] {
    const { manifest, headers, onList } = this.#parts;
    onList?.(sources);
    const { count } = layoutOf(manifest);
    return sources.map(({ id, name, zone, url, state, has }) => ({
      id,
      name,
      zone,
      url,
      headers,
      known: true,
      ...(has !== 'all' && { has: bitmapOf(has, count) }),
      // One that was not heard of may well send: the download sees for itself.
      ...(state !== 'running' && state !== 'suspected' && { paused: state }),
    }));
  }
}

/** Ranges of chunk numbers, each [first, last], as a bitmap; what is past the end is dropped. */
export function bitmapOf(ranges: readonly (readonly [number, number])[], count: number): Bitmap {
  const bitmap = new Bitmap(count);
  for (const [first, last] of ranges)
    for (let chunk = Math.max(0, first); chunk <= Math.min(last, count - 1); chunk++) bitmap.add(chunk);
  return bitmap;
}
