import { Writable } from 'node:stream';

import type { ChunkLayout } from '../core/chunks.ts';
import type { Manifest } from '../core/manifest.ts';
import type { Destination } from './destinations/destination.ts';
import { FileDestination } from './destinations/file-destination.ts';
import { outputPath } from './destinations/output-path.ts';
import { StreamDestination } from './destinations/stream-destination.ts';
import type { Settings } from './options.ts';
import type { Source } from './sources/source.ts';

interface Wanted {
  readonly layout: ChunkLayout;
  readonly manifest: Manifest | undefined;
  /** Digest of the whole that must come out. */
  readonly sha256: string | undefined;
  /** Gives the output its name where the caller did not. */
  readonly first: Source;
}

/** Where the file goes, as the caller said. @throws HeadwaterError as `FileDestination.open` does */
export async function openDestination(settings: Settings, wanted: Wanted): Promise<Destination> {
  const { output, name, memory, resume, force } = settings;
  const { layout, manifest, sha256, first } = wanted;
  // A manifest that a source offers is that source's word; the caller's own digest is checked all the same.
  const offered = settings.manifest === undefined;
  const whole =
    sha256 !== undefined && (manifest === undefined || (offered && settings.sha256 !== undefined));
  if (output instanceof Writable)
    return new StreamDestination({ stream: output, layout, manifest, whole, memory });
  const path = await outputPath(output, first, name);
  return FileDestination.open({ path, layout, manifest, sha256, whole, memory, resume, force });
}
