import { proxyFromEnvironment } from '../transport/proxy-environment.ts';
import { defaultTransportSettings } from '../transport/settings.ts';
import type { SourceSpec } from './live-sources.ts';
import { normalize } from './options.ts';
import { Session } from './session.ts';
import type { DownloadOptions, DownloadReport } from './types.ts';

/**
 * Gets one file from all the sources that hold it, as fast as they together can send it.
 *
 * Every source may die, stall, lie or be paused on the way: the others take over. What is there when the download ends
 * early is kept, and the next call with the same output goes on from it.
 *
 * @param sources URLs (`http:` or `https:`) of the same file, or objects that say more of a source; with a `feed`, those
 *   that are there at first
 * @param options see `DownloadOptions` for units and defaults
 * @returns who sent what, and what was verified
 * @throws HeadwaterError with the codes of the one table: `HW_USAGE`, `HW_NOT_FOUND`, `HW_NOT_ALLOWED`,
 *   `HW_SOURCES_LOST`, `HW_SOURCES_DISAGREE`, `HW_VERIFICATION`, `HW_FILE_CHANGED`, `HW_OUTPUT_EXISTS`,
 *   `HW_OUTPUT_BUSY`, `HW_DISK`, `HW_DISK_FULL`, `HW_INTERRUPTED` (with `keptBytes` in its details, the bytes that the
 *   next call can go on from, where that is known) and others
 */
export async function download(
  sources: readonly (string | URL | SourceSpec)[],
  options: DownloadOptions = {},
): Promise<DownloadReport> {
  const settings = normalize(sources, options);
  const transport = {
    ...defaultTransportSettings,
    tls: settings.tls,
    ...(settings.proxy ? { proxyFor: proxyFromEnvironment(process.env) } : {}),
  };
  return new Session(settings, transport).run();
}
