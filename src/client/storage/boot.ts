import { readFileSync } from 'node:fs';

let known: { readonly id: string | undefined } | undefined;

/**
 * Names this run of the kernel. While it stays the same, what was written to a file is what a reader gets, synced or
 * not: processes died since, but the page cache did not. Undefined where the system does not tell.
 */
export function bootId(): string | undefined {
  known ??= { id: read() };
  return known.id;
}

function read(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}
