import { createHash } from 'node:crypto';

import { chunkSizeFor } from '../../core/chunks.ts';
import type { FileEntry } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { unpackManifest } from '../../core/manifest-binary.ts';
import { canonicalManifest, type Manifest } from '../../core/manifest.ts';
import { Placement } from '../../core/placement.ts';
import type { Actor } from '../accounts/audit.ts';
import type { Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import { readFiles } from '../files/file-facts.ts';
import { forgetFile } from '../files/file-changes.ts';
import { entriesOf } from '../files/list-files.ts';
import { catalogueOf } from '../grants/catalogue.ts';
import { sourceWatchOf } from '../grants/source-watch.ts';
import { MOST_CHUNKS } from '../servers/holdings.ts';
import { findCopies } from './copies-found.ts';
import { publish } from './publish.ts';
import { isOpen, readStores, type StoreRow } from './store-servers.ts';
import type { FoundHolding, Tally } from './tally.ts';
import type { UploadRow } from './uploads.ts';

/**
 * Makes a file of an upload once every chunk has its copies. Done again, it answers with the same file.
 *
 * @param packed the manifest in its compact form
 * @throws HeadwaterError `HW_INCOMPLETE` (details.missing: ranges of chunks that lack copies), `HW_CONFLICT` (the name is
 *   taken, or the upload has become another file), `HW_FORBIDDEN`, `HW_MANIFEST_INVALID`, `HW_NOT_FOUND`, `HW_NO_ROOM`
 */
export async function commitUpload(
  context: Context,
  upload: UploadRow,
  packed: Uint8Array,
  caller: Caller,
  by: Actor,
): Promise<FileEntry> {
  const manifest = unpackManifest(packed, 'the request');
  const { size, chunkSize, chunks } = manifest;
  if (chunkSize !== chunkSizeFor(size)) {
    const said = `a file of ${size} bytes has chunks of ${chunkSizeFor(size)} in a fleet, not of ${chunkSize}`;
    throw new HeadwaterError('HW_MANIFEST_INVALID', said, { details: { chunkSize: chunkSizeFor(size) } });
  }
  if (chunks.length > MOST_CHUNKS) {
    const said = `the manifest has ${chunks.length} chunks; ${MOST_CHUNKS} are taken`;
    throw new HeadwaterError('HW_MANIFEST_INVALID', said, { details: { chunks: chunks.length } });
  }
  const manifestSha256 = createHash('sha256').update(canonicalManifest(manifest)).digest('hex');
  // Its chunks may be on other servers by now: what was committed needs no more asking.
  const holdings = upload.file_id === null ? await foundHoldings(context, upload, manifest) : [];
  const { file, replaced } = await publish(context, {
    uploadId: upload.id,
    manifest,
    manifestSha256,
    holdings,
    caller,
    by,
  });
  if (replaced !== undefined) forgetFile(context, replaced);
  catalogueOf(context).holders.forget();
  sourceWatchOf(context).changed();
  const facts = (await readFiles(context.database.queries, [file])).get(file);
  const [entry] = facts === undefined ? [] : await entriesOf(context.database.queries, [facts]);
  if (entry !== undefined) return entry;
  throw new HeadwaterError('HW_NOT_FOUND', 'the file that this upload became was deleted', {
    details: { file },
  });
}

async function foundHoldings(
  context: Context,
  upload: UploadRow,
  manifest: Manifest,
): Promise<FoundHolding[]> {
  const stores = await readStores(context.database.queries);
  if (manifest.chunks.length === 0) return emptyHoldings(manifest, stores, upload);
  const tally = await findCopies(context, manifest, stores, upload);
  const missing = tally.missing();
  if (missing.length > 0) throw incomplete(tally, missing, manifest);
  return tally.holdings();
}

/** An empty file has no chunks to look for; servers answer for it all the same. */
function emptyHoldings(
  { sha256 }: Manifest,
  stores: readonly StoreRow[],
  { replicas, zones }: UploadRow,
): FoundHolding[] {
  const open = stores.filter(isOpen);
  if (open.length === 0) throw new HeadwaterError('HW_NO_ROOM', 'no file server runs and has room now');
  const placed = open.map((server) => ({
    server,
    id: server.id,
    zone: server.zone,
    weight: server.store_capacity ?? 0,
  }));
  const places = new Placement(placed, zones).of(sha256).slice(0, replicas);
  return places.map(({ server }) => ({ server, chunks: null }));
}

function incomplete(tally: Tally, missing: [number, number][], { chunks }: Manifest): HeadwaterError {
  const count = missing.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  const silent = [...tally.silent].map(({ name }) => name);
  const away = silent.length === 0 ? '' : `; ${silent.slice(0, 10).join(', ')} did not answer`;
  const { replicas, zones } = tally.need;
  const wanted = `${replicas} ${replicas === 1 ? 'copy' : 'copies'}${zones > 1 ? ` in ${zones} zones` : ''}`;
  const said = `${count} of ${chunks.length} chunks lack their ${wanted}${away}: send these and commit again`;
  return new HeadwaterError('HW_INCOMPLETE', said, {
    details: { missing, replicas, zones, silent: silent.slice(0, 100) },
  });
}
