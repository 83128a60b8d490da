import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { urlName } from '../sources/disposition.ts';
import type { Source } from '../sources/source.ts';

/** What a file is called when neither its server nor its URL says. */
const NAMELESS = 'download';

/**
 * The path that a download is written to. `output` is a file, a folder that exists, or a path with a trailing slash;
 * `given` is the caller's own name for the file.
 */
export async function outputPath(
  output: string | undefined,
  source: Source,
  given: string | undefined,
): Promise<string> {
  const name =
    given ?? source.introduction?.name ?? urlName(source.url) ?? urlName(source.target) ?? NAMELESS;
  if (output === undefined) return resolve(name);
  if (/[/\\]$/.test(output) || (await isFolder(output))) return resolve(join(output, name));
  return resolve(output);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
