import { readFileSync } from 'node:fs';

/** This program's version. */
export const VERSION = readVersion();

function readVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const about = JSON.parse(text) as { readonly version: string };
  return about.version;
}
