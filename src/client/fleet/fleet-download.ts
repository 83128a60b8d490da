import { createHash } from 'node:crypto';

import type { Download, DownloadEnd, DownloadSource } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { canonicalManifest, parseManifest, type Manifest } from '../../core/manifest.ts';
import { download } from '../download.ts';
import type { BadChunk } from '../live-sources.ts';
import type { DownloadOptions, DownloadReport } from '../types.ts';
import { reportChunk } from './chunk-report.ts';
import { fileNamed } from './file-named.ts';
import type { FleetClient } from './fleet-client.ts';
import { Grant } from './grant.ts';
import { SourceList } from './source-list.ts';

/** Seconds that the fleet gets to take in how a download ended; the file is there either way. */
const FAREWELL = 2;
/** Seconds for reading a large manifest. */
const MANIFEST_TIME = 50;

/** As for `download`, without what the fleet says itself. */
export interface FleetDownloadOptions extends Omit<
  DownloadOptions,
  'manifest' | 'feed' | 'refresh' | 'onBadChunk' | 'headers'
> {
  /** Where the client is: servers of this zone are asked first. */
  zone?: string;
  /** Called when the fleet has granted the download, before any byte. */
  onGrant?: (granted: Granted) => void;
}

/** What is downloaded, and from whom at first. */
export interface Granted {
  readonly file: Download['file'];
  readonly sources: readonly DownloadSource[];
}

/**
 * Downloads a file of a fleet from every server that holds it. Servers that come and go on the way join and leave; the
 * grant is renewed; a server that sends wrong bytes is reported. When every information server is lost meanwhile, the
 * download goes on with the servers that it knows.
 *
 * @param nameOrId the file's name in the fleet, or its id
 * @throws HeadwaterError `HW_NOT_FOUND`, `HW_TOKEN_INVALID` and others of the fleet, and those of `download`
 */
export async function downloadFromFleet(
  client: FleetClient,
  nameOrId: string,
  options: FleetDownloadOptions = {},
): Promise<DownloadReport> {
  const { zone, onGrant, ...given } = options;
  const granted = await grantFor(client, nameOrId, zone, given.signal);
  const over = new AbortController();
  const farewell = new AbortController();
  const reports = new Set<Promise<void>>();
  const began = performance.now();
  let ended: DownloadEnd = { outcome: 'failed', bytes: 0, seconds: 0 };
  let bytes = 0;
  try {
    const manifest = await manifestOf(client, granted, given.signal);
    const path = `v1/downloads/${granted.id}`;
    const grant = new Grant(client, { ...granted, path }, over.signal);
    const list = new SourceList({ client, download: granted, manifest, headers: grant.headers });
    onGrant?.({ file: granted.file, sources: granted.sources });
    // Where to go on when the one that gave the grant is lost.
    void client.learnOthers(over.signal).catch(() => undefined);
    const report = await download(list.first, {
      tls: client.transport.tls,
      name: granted.file.name.split('/').at(-1) ?? granted.file.name,
      ...given,
      manifest,
      feed: list.feed,
      refresh: () => grant.renew(),
      onBadChunk: (bad) => {
        const told = tellOf(bad, grant).finally(() => reports.delete(told));
        reports.add(told);
      },
      onEvent: (event) => {
        if (event.event === 'progress') bytes = event.bytes;
        given.onEvent?.(event);
      },
    });
    ended = { outcome: 'done', bytes: report.size - report.resumedBytes, seconds: 0 };
    return report;
  } catch (error) {
    const code = error instanceof HeadwaterError ? error.code : 'HW_INTERNAL';
    ended = { outcome: code === 'HW_INTERRUPTED' ? 'stopped' : 'failed', bytes, seconds: 0, code };
    throw error;
  } finally {
    over.abort();
    const timer = setTimeout(() => farewell.abort(), FAREWELL * 1000);
    const body = { ...ended, seconds: (performance.now() - began) / 1000 };
    const path = `v1/downloads/${granted.id}/end`;
    const end = client.ask('POST', path, { body, signal: farewell.signal, patience: 0 });
    await Promise.all([end.catch(() => undefined), ...reports]);
    clearTimeout(timer);
  }

  /** What is wrong with a server is the fleet's to find out: nothing here depends on the answer. */
  async function tellOf({ source, chunk }: BadChunk, grant: Grant): Promise<void> {
    const told = reportChunk(new URL(source.url), chunk, grant.headers(), client.transport, farewell.signal);
    await told.catch(() => undefined);
  }
}

async function grantFor(
  client: FleetClient,
  nameOrId: string,
  zone: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Download> {
  const { id } = await fileNamed(client, nameOrId, signal);
  const body = zone === undefined ? {} : { zone };
  // A second grant does no harm: it ends by itself.
  return client.ask<Download>('POST', `v1/files/${id}/downloads`, { body, signal, repeatable: true });
}

/** @throws HeadwaterError `HW_MANIFEST_INVALID` when it is not the one that the fleet names */
async function manifestOf(
  client: FleetClient,
  { file, manifest: inline, manifestUrl }: Download,
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  const told =
    inline ??
    (await client.ask<unknown>('GET', pathOf(manifestUrl ?? `v1/files/${file.id}/manifest`), {
      signal,
      wait: MANIFEST_TIME,
    }));
  const manifest = parseManifest(JSON.stringify(told), 'the fleet');
  const digest = createHash('sha256').update(canonicalManifest(manifest)).digest('hex');
  if (digest !== file.manifestSha256) {
    const message = `the manifest of ${file.name} is not the one that the fleet names`;
    throw new HeadwaterError('HW_MANIFEST_INVALID', message, { details: { file: file.id } });
  }
  return manifest;
}

/** Any information server has it: what counts is the path. */
function pathOf(manifestUrl: string): string {
  const { pathname, search } = new URL(manifestUrl, 'http://any');
  const at = pathname.indexOf('/v1/');
  return pathname.slice(at < 0 ? 1 : at + 1) + search;
}
