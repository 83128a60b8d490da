import type { FileIdentity } from './file-identity.ts';

/** What the threads are started with. */
export interface ThreadData {
  readonly ring: SharedArrayBuffer;
  /** See the CONTROL_… indexes. */
  readonly control: SharedArrayBuffer;
}

/** Int32 index: MiB read of the current file, written by the reader. */
export const CONTROL_READ = 0;
/** Int32 index: 1 while the reader should rest because something more urgent is hashed. */
export const CONTROL_REST = 1;
export const CONTROL_BYTES = 8;

export interface ReadJob {
  readonly path: string;
  readonly identity: FileIdentity;
}

export interface ChunkJob {
  readonly size: number;
}

/** `changed`: the file is not, or no longer, the one that was to be hashed. */
export type ReadResult =
  | { readonly kind: 'done'; readonly sha256: string }
  | { readonly kind: 'changed' }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string | undefined };

/** Undefined when the reader broke off. */
export type ChunkResult = readonly string[] | undefined;
