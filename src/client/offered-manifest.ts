import { HeadwaterError } from '../core/errors.ts';
import { MOST_MANIFEST_BYTES, parseManifest, type Manifest } from '../core/manifest.ts';
import type { Candidate } from './members.ts';
import { readText } from './sources/probe.ts';
import type { Source } from './sources/source.ts';

/** Milliseconds that a source gets to send the manifest it offers: the download waits for it. */
const MOST_TIME = 15_000;
/** Milliseconds without a byte of it. */
const MOST_SILENCE = 3_000;

interface Wanted {
  readonly size: number;
  readonly sha256: string | undefined;
}

/** The manifest that one of the sources offers, if it is readable and fits, and who offered it. */
export async function offeredManifest(
  members: readonly Candidate[],
  wanted: Wanted,
  signal: AbortSignal,
  notice: (message: string) => void,
): Promise<{ manifest: Manifest; source: Source } | undefined> {
  for (const { source, introduction } of members) {
    if (introduction.manifest === undefined) continue;
    try {
      const bounds = { signal, most: MOST_TIME, silence: MOST_SILENCE };
      const text = await readText(source, introduction.manifest, MOST_MANIFEST_BYTES, bounds);
      const manifest = parseManifest(text, source.shown);
      if (manifest.size === wanted.size && (wanted.sha256 ?? manifest.sha256) === manifest.sha256)
        return { manifest, source };
      notice(`the manifest that ${source.shown} offers is of another file and is not used`);
    } catch (error) {
      if (!(error instanceof HeadwaterError) || signal.aborted) throw error;
      notice(`the manifest that ${source.shown} offers cannot be used: ${error.message}`);
    }
  }
  return undefined;
}
