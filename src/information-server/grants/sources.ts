import type { DownloadSource } from '../../core/api/files.ts';
import type { Holder } from './holders.ts';

/**
 * Most sources named in one answer: more than a client can make use of, and 30 kB of text. Of more holders the least busy
 * are named.
 */
const MOST_SOURCES = 128;

/**
 * Who a new download is sent to: servers that run. Where none does, those that are suspected: asking one that may be dead
 * is better than asking nobody, and all are suspected for a moment when the information servers were away.
 */
export function forNewDownload(holders: readonly Holder[]): readonly Holder[] {
  const running = holders.filter(({ state }) => state === 'running');
  return running.length > 0 ? running : holders.filter(({ state }) => state === 'suspected');
}

/** A file's sources in the order to be asked: those that run, the client's zone first, then the least busy. */
export function sourcesOf(
  holders: readonly Holder[],
  fileId: string,
  zone: string | undefined,
): DownloadSource[] {
  const rank = (holder: Holder): number =>
    (holder.state === 'running' ? 0 : 2) + (holder.zone === zone ? 0 : 1);
  return [...holders]
    .sort(
      (one, other) =>
        rank(one) - rank(other) ||
        one.answers - other.answers ||
        one.rate - other.rate ||
        (one.id < other.id ? -1 : 1),
    )
    .slice(0, MOST_SOURCES)
    .map(({ id, name, zone, url, state, has }) => ({
      id,
      name,
      zone,
      url: `${url}/v1/files/${fileId}`,
      state,
      has,
    }));
}
