import type { ChunkLayout } from '../core/chunks.ts';
import type { HeadwaterError } from '../core/errors.ts';

/** What a server needs to know of the place its files come from: a folder now, chunks by digest another time. */

/** What is known of a file's bytes once they were read through. */
export interface FileDigests {
  /** Digest of the whole, lower-case hex. */
  readonly sha256: string;
  /** The manifest's canonical text. */
  readonly manifestText: string;
  /** Digest of that text, lower-case hex. */
  readonly manifestSha256: string;
}

/** Why digests cannot be found out now. */
export interface Setback {
  readonly error: HeadwaterError;
  /** When it may be tried again, milliseconds of `performance.now()`. */
  readonly until: number;
}

/** A file that was opened for one request. Whoever opened it closes it. */
export interface OpenedFile {
  /** The name it was asked for by. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Undefined until they were found out. */
  readonly digests: FileDigests | undefined;
  /**
   * Finds them out before those that nobody waits for. Resolves when they are known or cannot be found out: with why,
   * where it is not that the file changed.
   */
  findDigests(): Promise<Setback | undefined>;
  /** Seconds that `findDigests` is likely to take from now. */
  readonly digestsIn: number;
  /** Reads bytes at `position` into the front of `block`: `callback(error, bytes)`; 0 bytes past the end. */
  read(
    block: Buffer,
    length: number,
    position: number,
    callback: (error: Error | null, bytes: number) => void,
  ): void;
  /**
   * Whether the file is still the one that was opened. Asked after a read and before its bytes are sent, so that
   * bytes of a changed file never leave. False starts finding out its new digests.
   */
  unchanged(): boolean;
  close(): void;
}

export interface ListedFile {
  readonly name: string;
  readonly size: number;
  /** Digest of the whole, where it is known. */
  readonly sha256?: string;
}

export interface Listing {
  readonly files: readonly ListedFile[];
  /** More files are served than are listed. */
  readonly truncated: boolean;
}

export interface Store {
  /**
   * Undefined when nothing is served by that name, whatever the reason.
   *
   * @throws HeadwaterError `HW_UNAVAILABLE` (no file descriptors left), `HW_DISK`
   */
  open(name: string): Promise<OpenedFile | undefined>;
  list(): Promise<Listing>;
}

/** A content that was opened for one request, by what it is and not by a name. */
export interface OpenedContent {
  readonly file: OpenedFile;
  /** Digest of the whole, lower-case hex. */
  readonly sha256: string;
  /** The name it is held under. */
  readonly name: string;
  readonly layout: ChunkLayout;
  /** Chunks that are not here, ascending: it may hold a part. */
  readonly missing: readonly number[];
}

/** Contents by the digests of their manifests. */
export interface ContentStore {
  /**
   * Undefined when the content is not here, or not any more.
   *
   * @throws HeadwaterError `HW_UNAVAILABLE` (no file descriptors left), `HW_DISK`
   */
  openContent(manifest: string): Promise<OpenedContent | undefined>;
}
