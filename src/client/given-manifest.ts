import { readFile } from 'node:fs/promises';

import { HeadwaterError } from '../core/errors.ts';
import { MOST_MANIFEST_BYTES, parseManifest, type Manifest } from '../core/manifest.ts';
import type { TransportSettings } from '../transport/connection.ts';
import { shownUrl } from '../transport/shown-url.ts';
import type { Settings } from './options.ts';
import { readText } from './sources/probe.ts';
import { Source } from './sources/source.ts';

/** Milliseconds that its server gets to send it. */
const MOST_TIME = 60_000;

/**
 * Reads the manifest that the caller named.
 *
 * @throws HeadwaterError `HW_MANIFEST_INVALID`, `HW_DISK`, or why its server did not give it
 */
export async function loadManifest(
  settings: Settings,
  transport: TransportSettings,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  const given = settings.manifest;
  if (given === undefined) return undefined;
  if (typeof given === 'object' && !(given instanceof URL)) return given;
  const text = given instanceof URL ? given.href : given;
  const shown = URL.canParse(text) ? shownUrl(new URL(text)) : text;
  const manifest = parseManifest(await readNamed(text, settings, transport, signal), shown);
  if (settings.sha256 !== undefined && manifest.sha256 !== settings.sha256) {
    throw new HeadwaterError(
      'HW_MANIFEST_INVALID',
      `the manifest in ${shown} is of another file than the sha256 given`,
    );
  }
  return manifest;
}

async function readNamed(
  text: string,
  settings: Settings,
  transport: TransportSettings,
  signal: AbortSignal,
): Promise<string> {
  if (/^https?:\/\//i.test(text)) {
    const url = new URL(text);
    const source = new Source(0, url, settings.headers, transport);
    try {
      return await readText(source, url, MOST_MANIFEST_BYTES, {
        signal,
        most: MOST_TIME,
        silence: MOST_TIME,
      });
    } finally {
      source.close();
    }
  }
  try {
    return await readFile(text, 'utf8');
  } catch (cause) {
    throw new HeadwaterError('HW_DISK', `the manifest ${text} cannot be read`, {
      cause,
      details: { path: text },
    });
  }
}
