import { ChunkLayout, MOST_CHUNK_SIZE } from './chunks.ts';
import { HeadwaterError } from './errors.ts';

/** The version this program writes and reads. */
export const MANIFEST_VERSION = 1;
/** The media type a manifest is sent with. */
export const MANIFEST_TYPE = 'application/vnd.headwater.manifest+json';
/** Longest manifest that is read, bytes: the digests of 1,000,000 chunks with room to spare. */
export const MOST_MANIFEST_BYTES = 80_000_000;

/** What a file's bytes are: size, cut and digests. Digests are SHA-256 in lower-case hex. */
export interface Manifest {
  readonly version: typeof MANIFEST_VERSION;
  /** Bytes in the file. */
  readonly size: number;
  /** Bytes in every chunk but the last. */
  readonly chunkSize: number;
  /** Digest of the whole file. */
  readonly sha256: string;
  /** Digest of each chunk, in order. */
  readonly chunks: readonly string[];
}

const DIGEST = /^[0-9a-f]{64}$/;

export function isSha256(text: string): boolean {
  return DIGEST.test(text);
}

/** The one text that stands for a manifest; its SHA-256 is the manifest's name. */
export function canonicalManifest(manifest: Manifest): string {
  const { version, size, chunkSize, sha256, chunks } = manifest;
  return JSON.stringify({ version, size, chunkSize, sha256, chunks });
}

export function layoutOf(manifest: Manifest): ChunkLayout {
  return new ChunkLayout(manifest.size, manifest.chunkSize);
}

/**
 * Reads a manifest from its JSON text. Key order and white space are free; unknown keys are refused, so that a
 * newer kind of manifest is never taken for this one.
 *
 * @param origin where the text came from, for the message.
 * @throws HeadwaterError `HW_MANIFEST_INVALID`
 */
export function parseManifest(text: string, origin: string): Manifest {
  const fail = (why: string): never => {
    throw new HeadwaterError('HW_MANIFEST_INVALID', `the manifest from ${origin} ${why}`);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HeadwaterError('HW_MANIFEST_INVALID', `the manifest from ${origin} is not JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail('is not a JSON object');
  const { version, size, chunkSize, sha256, chunks, ...rest } = value as Record<string, unknown>;
  if (version !== MANIFEST_VERSION)
    return fail(`has version ${JSON.stringify(version)}; this program reads ${MANIFEST_VERSION}`);
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) return fail(`has an unknown key "${unknown}"`);
  if (!isSize(size)) return fail('has no valid "size"');
  if (!isSize(chunkSize) || chunkSize === 0) return fail('has no valid "chunkSize"');
  // A chunk is held whole where it is hedged or goes to a stream: its size is not for a server to choose.
  if (chunkSize > MOST_CHUNK_SIZE) return fail(`has chunks of more than ${MOST_CHUNK_SIZE} bytes`);
  if (typeof sha256 !== 'string' || !isSha256(sha256)) return fail('has no valid "sha256"');
  if (!Array.isArray(chunks) || !chunks.every((each) => typeof each === 'string' && isSha256(each))) {
    return fail('has no valid "chunks"');
  }
  const { count } = new ChunkLayout(size, chunkSize);
  if (chunks.length !== count) return fail(`lists ${chunks.length} chunks where its size makes ${count}`);
  return { version, size, chunkSize, sha256, chunks: chunks as string[] };
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
