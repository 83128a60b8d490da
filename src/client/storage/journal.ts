import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { Bitmap } from '../../core/bitmap.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { isSha256 } from '../../core/manifest.ts';
import type { FileIdentity } from './identity.ts';

/*
 * A journal is a snapshot, written whole and synced, and a tail that grows until the next snapshot replaces both.
 *
 *   magic 8 | version u32 | length of text u32 | length of bitmap u32 | text (JSON) | bitmap | SHA-256 of all before
 *   then records of 8 bytes: chunk + 1 as u32 | CRC-32 of that, begun with the first 4 bytes of the snapshot's SHA-256
 *
 * Numbers are big-endian. The snapshot speaks of chunks that were synced before it was written. A record of the tail
 * speaks of a chunk that was written but perhaps not synced: true for as long as the kernel runs, doubtful after a
 * power failure. The first record that is zero or does not fit its sum ends the tail.
 */
const MAGIC = Buffer.from('HWJOURN\n', 'latin1');
const VERSION = 1;
const HEAD_BYTES = MAGIC.length + 12;
const SEAL_BYTES = 32;
/** Bytes in a record of the tail. */
export const RECORD_BYTES = 8;
/** Longest text (nearly all of it `extra`), bytes: the journal is written anew once a second. */
const MOST_TEXT_BYTES = 1024 * 1024;
/** Longest journal that is read, bytes: the longest text and a bitmap of 16 million chunks, with a tail. */
export const MOST_JOURNAL_BYTES = 8 * 1024 * 1024;

/** What a program wants to find again with the part file. JSON values. */
export type Extra = Readonly<Record<string, unknown>>;

/** What a snapshot says. */
export interface Snapshot {
  readonly identity: FileIdentity;
  /** Bytes in every chunk but the last. */
  readonly chunkSize: number;
  /** The run of the kernel that the tail is true for. */
  readonly boot: string | undefined;
  /** Chunks that are right and safe on the disk. */
  readonly done: Bitmap;
  readonly extra: Extra;
}

/** A journal as it was read. */
export interface Journal extends Snapshot {
  /** Chunks that were right and written, but perhaps not synced, and are not in `done`. */
  readonly tail: readonly number[];
  /** The bytes of the snapshot, and where the next record goes: to go on with this very journal. */
  readonly snapshot: Uint8Array;
  readonly tailEnd: number;
}

/**
 * The bytes of a snapshot.
 *
 * @throws HeadwaterError `HW_INTERNAL` when `extra` makes it longer than `MOST_TEXT_BYTES`
 */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { identity, chunkSize, boot, done, extra } = snapshot;
  const text = Buffer.from(JSON.stringify({ identity, chunkSize, boot, extra }));
  if (text.length > MOST_TEXT_BYTES)
    throw new HeadwaterError(
      'HW_INTERNAL',
      `${text.length} bytes beside the bitmap are too many for a journal`,
    );
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt32BE(VERSION, 8);
  head.writeUInt32BE(text.length, 12);
  head.writeUInt32BE(done.bytes.length, 16);
  const body = Buffer.concat([head, text, done.bytes]);
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

/** Records for the tail of the journal that `snapshot` (its bytes) begins. */
export function encodeTail(snapshot: Uint8Array, chunks: readonly number[]): Uint8Array {
  const seed = sealSum(snapshot.subarray(snapshot.length - SEAL_BYTES));
  const records = Buffer.alloc(chunks.length * RECORD_BYTES);
  for (const [i, chunk] of chunks.entries()) {
    const at = i * RECORD_BYTES;
    records.writeUInt32BE(chunk + 1, at);
    records.writeUInt32BE(crc32(records.subarray(at, at + 4), seed), at + 4);
  }
  return records;
}

/** Reads a journal; undefined when it is torn, altered, or of a kind that this program does not know. */
export function decodeJournal(bytes: Uint8Array): Journal | undefined {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (data.length < HEAD_BYTES + SEAL_BYTES || !data.subarray(0, MAGIC.length).equals(MAGIC))
    return undefined;
  if (data.readUInt32BE(8) !== VERSION) return undefined;
  const textEnd = HEAD_BYTES + data.readUInt32BE(12);
  const bodyEnd = textEnd + data.readUInt32BE(16);
  if (bodyEnd + SEAL_BYTES > data.length) return undefined;
  const seal = data.subarray(bodyEnd, bodyEnd + SEAL_BYTES);
  if (!createHash('sha256').update(data.subarray(0, bodyEnd)).digest().equals(seal)) return undefined;

  const text = readText(data.toString('utf8', HEAD_BYTES, textEnd));
  if (text === undefined) return undefined;
  const { count } = new ChunkLayout(text.identity.size, text.chunkSize);
  if (bodyEnd - textEnd !== Math.ceil(count / 8)) return undefined;
  const done = new Bitmap(count, data.subarray(textEnd, bodyEnd));
  const snapshot = data.subarray(0, bodyEnd + SEAL_BYTES);
  const { chunks, bytes: tailBytes } = readTail(data.subarray(snapshot.length), sealSum(seal), count);
  const tail = [...chunks].filter((chunk) => !done.has(chunk));
  return { ...text, done, tail, snapshot, tailEnd: snapshot.length + tailBytes };
}

function readTail(
  records: Buffer,
  seed: number,
  count: number,
): { readonly chunks: ReadonlySet<number>; readonly bytes: number } {
  const chunks = new Set<number>();
  let at = 0;
  for (; at + RECORD_BYTES <= records.length; at += RECORD_BYTES) {
    const chunk = records.readUInt32BE(at) - 1;
    if (chunk < 0 || chunk >= count) break;
    if (crc32(records.subarray(at, at + 4), seed) !== records.readUInt32BE(at + 4)) break;
    chunks.add(chunk);
  }
  return { chunks, bytes: at };
}

function sealSum(seal: Uint8Array): number {
  return Buffer.from(seal.buffer, seal.byteOffset, 4).readUInt32BE(0);
}

/** The sum was right, so this is what was written; it is held against the type for journals of other programs. */
function readText(text: string): Omit<Snapshot, 'done'> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { identity, chunkSize, boot, extra } = value;
  if (!isObject(identity) || !isObject(extra)) return undefined;
  if (typeof chunkSize !== 'number' || !Number.isSafeInteger(chunkSize) || chunkSize < 1) return undefined;
  const { size, sha256, manifest } = identity;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  return {
    identity: {
      size,
      ...(typeof sha256 === 'string' && isSha256(sha256) ? { sha256 } : {}),
      ...(typeof manifest === 'string' && isSha256(manifest) ? { manifest } : {}),
    },
    chunkSize,
    boot: typeof boot === 'string' ? boot : undefined,
    extra,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
