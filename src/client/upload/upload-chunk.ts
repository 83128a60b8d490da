import type { Store } from './stores.ts';

/** One chunk of a file that is being published. Chunks with the same bytes are one. */
export interface UploadChunk {
  /** SHA-256, lower-case hex. */
  readonly digest: string;
  /** The first of them. */
  readonly index: number;
  readonly start: number;
  readonly end: number;
  /** Ids of the servers that have it. */
  readonly holders: Set<string>;
  /** It was sent in this run. */
  sent: boolean;
  /** Servers in its order of preference, as of a version of the list. */
  order: { readonly version: number; readonly stores: readonly Store[] } | undefined;
}
