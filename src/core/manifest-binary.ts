import { ChunkLayout, MOST_CHUNK_SIZE } from './chunks.ts';
import { HeadwaterError } from './errors.ts';
import { MANIFEST_VERSION, type Manifest } from './manifest.ts';

/** The media type of a manifest in its compact form; docs/manifest.md has the form. */
export const MANIFEST_BINARY_TYPE = 'application/vnd.headwater.manifest';

/** "HWMF". */
const MAGIC = 0x4857_4d46;
/** Bytes of a digest. */
const DIGEST = 32;
/** Bytes before the chunks' digests. */
const HEAD = 56;
/** 2^32: sizes are written as two numbers of 32 bits. */
const WORD = 4_294_967_296;

/**
 * A manifest in its compact form: less than half of the JSON text. Its name stays the SHA-256 of the canonical text.
 *
 * @param chunkDigests digests of the chunks, 32 bytes each
 */
export function packManifest(head: Omit<Manifest, 'chunks'>, chunkDigests: Uint8Array): Uint8Array {
  const packed = new Uint8Array(HEAD + chunkDigests.length);
  const view = new DataView(packed.buffer);
  view.setUint32(0, MAGIC);
  view.setUint8(4, head.version);
  view.setUint32(8, Math.floor(head.size / WORD));
  view.setUint32(12, head.size % WORD);
  view.setUint32(16, head.chunkSize);
  view.setUint32(20, chunkDigests.length / DIGEST);
  packed.set(bytesOf(head.sha256), 24);
  packed.set(chunkDigests, HEAD);
  return packed;
}

/**
 * Reads a manifest in its compact form.
 *
 * @param origin where the bytes came from, for the message.
 * @throws HeadwaterError `HW_MANIFEST_INVALID`
 */
export function unpackManifest(packed: Uint8Array, origin: string): Manifest {
  const fail = (why: string): never => {
    throw new HeadwaterError('HW_MANIFEST_INVALID', `the compact manifest from ${origin} ${why}`);
  };
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (packed.length < HEAD || view.getUint32(0) !== MAGIC) return fail('does not begin as one does');
  const version = view.getUint8(4);
  if (version !== MANIFEST_VERSION)
    return fail(`has version ${version}; this program reads ${MANIFEST_VERSION}`);
  if (view.getUint8(5) !== 0 || view.getUint16(6) !== 0) return fail('has something where nothing belongs');
  const size = view.getUint32(8) * WORD + view.getUint32(12);
  if (!Number.isSafeInteger(size)) return fail('has no valid size');
  const chunkSize = view.getUint32(16);
  if (chunkSize === 0 || chunkSize > MOST_CHUNK_SIZE)
    return fail(`has chunks of ${chunkSize} bytes; there are those of 1 to ${MOST_CHUNK_SIZE}`);
  const { count } = new ChunkLayout(size, chunkSize);
  const told = view.getUint32(20);
  if (told !== count) return fail(`lists ${told} chunks where its size makes ${count}`);
  if (packed.length !== HEAD + count * DIGEST)
    return fail(`has ${packed.length} bytes where ${count} chunks make ${HEAD + count * DIGEST}`);
  const chunks = Array.from({ length: count }, (_, at) => hexAt(packed, HEAD + at * DIGEST));
  return { version: MANIFEST_VERSION, size, chunkSize, sha256: hexAt(packed, 24), chunks };
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function hexAt(bytes: Uint8Array, from: number): string {
  let hex = '';
  for (let at = from; at < from + DIGEST; at++) hex += HEX[bytes[at] ?? 0] ?? '';
  return hex;
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) =>
    Number.parseInt(hex.slice(at * 2, at * 2 + 2), 16),
  );
}
