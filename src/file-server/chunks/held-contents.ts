import { setImmediate as turn } from 'node:timers/promises';

import { Bitmap } from '../../core/bitmap.ts';
import { packManifest, unpackManifest } from '../../core/manifest-binary.ts';
import type { Manifest } from '../../core/manifest.ts';
import { bufferOf, type ChunkIndex } from './chunk-index.ts';
import { HOLD_SLICE, MANIFEST_CACHE_BYTES } from './limits.ts';

/** Bytes of a compact manifest before its digests, and of a digest. */
const HEAD = 56;
const DIGEST = 32;

/** A content of which chunks are here. */
export interface HeldContent {
  readonly manifest: string;
  /** In its compact form. */
  readonly packed: Buffer;
  /** Chunks that are here. */
  readonly has: Bitmap;
}

/** Chunk numbers, each [first, last]. */
export type ChunkRanges = readonly (readonly [number, number])[];

/**
 * Which contents this server holds chunks of, and which. A chunk is referred to once for each place that it has in a content
 * held here; what nothing refers to any more is free to go. Every change is small and whole, and can be done twice.
 */
export class HeldContents {
  readonly #index: ChunkIndex;
  /** Told after each change; `has` undefined: nothing of it is held any more. */
  readonly #onChange: (manifest: string, packed: Buffer, has: Bitmap | undefined) => void;
  /** Those asked for lately. */
  readonly #recent = new Map<string, Buffer>();
  #recentBytes = 0;

  constructor(
    index: ChunkIndex,
    onChange: (manifest: string, packed: Buffer, has: Bitmap | undefined) => void,
  ) {
    this.#index = index;
    this.#onChange = onChange;
  }

  /** The manifest in its compact form, where the content is known here. */
  packed(manifest: string): Buffer | undefined {
    const recent = this.#recent.get(manifest);
    if (recent !== undefined) return recent;
    const row = this.#index.get('select packed from contents where manifest = ?', manifest);
    if (row === undefined) return undefined;
    const packed = bufferOf(row['packed']);
    this.#remember(manifest, packed);
    return packed;
  }

  /** The manifest, where the content is known here. */
  manifest(digest: string): Manifest | undefined {
    const packed = this.packed(digest);
    return packed && unpackManifest(packed, 'the chunk store');
  }

  content(manifest: string): HeldContent | undefined {
    const row = this.#index.get('select has from held where manifest = ?', manifest);
    const packed = row && this.packed(manifest);
    if (packed === undefined) return undefined;
    return { manifest, packed, has: new Bitmap(countOf(packed), bufferOf(row?.['has'])) };
  }

  /** Manifests of contents of which chunks are held, a page at a time. */
  page(after: string, most: number): string[] {
    const rows = this.#index.all(
      'select manifest from held where manifest > ? order by manifest limit ?',
      after,
      most,
    );
    return rows.map(({ manifest }) => String(manifest));
  }

  /** The content is to be held: every chunk of it that is here stays. */
  async hold(manifest: string, content: Manifest): Promise<void> {
    const packed = this.#learn(manifest, content);
    this.#index.run('update held set held_at = ? where manifest = ?', Date.now(), manifest);
    await this.#each(manifest, [[0, countOf(packed) - 1]], 'add');
  }

  /** Says again which chunks of it are held. */
  tell(manifest: string): void {
    const content = this.content(manifest);
    if (content !== undefined) this.#onChange(manifest, content.packed, content.has);
  }

  /** Makes the content known: no chunk of it is held by that. */
  learn(manifest: string, content: Manifest): void {
    this.#learn(manifest, content);
  }

  /** Chunks of it have come. */
  async gained(manifest: string, chunks: ChunkRanges): Promise<void> {
    await this.#each(manifest, chunks, 'add');
  }

  /** These chunks are not to be held for this content any more. */
  async release(manifest: string, chunks: ChunkRanges): Promise<void> {
    await this.#each(manifest, chunks, 'delete');
  }

  /** The content is not to be held any more. */
  async drop(manifest: string): Promise<void> {
    const packed = this.packed(manifest);
    if (packed === undefined) return;
    await this.#each(manifest, [[0, countOf(packed) - 1]], 'delete');
    this.#index.together(() => {
      this.#index.run('delete from held where manifest = ?', manifest);
      this.#index.run('delete from contents where manifest = ?', manifest);
      this.#index.run('delete from orders where manifest = ?', manifest);
    });
    this.#forget(manifest);
    this.#onChange(manifest, packed, undefined);
  }

  /** These chunks are not here any more: no content has them now. */
  async lost(digests: ReadonlySet<string>): Promise<void> {
    for (let after = ''; ;) {
      const page = this.page(after, 16);
      for (const manifest of page) {
        const content = this.content(manifest);
        if (content === undefined) continue;
        const chunks: [number, number][] = [];
        for (let at = 0; at < content.has.length; at++) {
          if (content.has.has(at) && digests.has(digestAt(content.packed, at).toString('hex'))) {
            chunks.push([at, at]);
          }
        }
        if (chunks.length > 0) await this.#each(manifest, chunks, 'delete');
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last;
      await turn();
    }
  }

  /** Holds nothing that is not here: after many chunks went at once. */
  async settle(): Promise<void> {
    for (let after = ''; ;) {
      const [manifest] = this.page(after, 1);
      if (manifest === undefined) return;
      const content = this.content(manifest);
      if (content !== undefined) await this.#each(manifest, this.#goneOf(content), 'delete');
      after = manifest;
      await turn();
    }
  }

  /** Counts anew what refers to what. Nothing may be removed meanwhile: it would seem to be nobody's. */
  async recount(): Promise<void> {
    this.#index.together(() => {
      this.#index.run('update chunks set refs = 0 where refs <> 0');
      this.#index.run('update held set has = zeroblob(length(has))');
    });
    for (let after = ''; ;) {
      const page = this.page(after, 16);
      for (const manifest of page) {
        const packed = this.packed(manifest);
        if (packed !== undefined) await this.#each(manifest, [[0, countOf(packed) - 1]], 'add');
      }
      const last = page.at(-1);
      if (last === undefined) return;
      after = last;
      await turn();
    }
  }

  /** Chunks that it should have here, and that the index has not. */
  #goneOf({ packed, has }: HeldContent): [number, number][] {
    const gone: [number, number][] = [];
    for (let at = 0; at < has.length; at++) {
      if (has.has(at) && !this.#index.has(digestAt(packed, at))) gone.push([at, at]);
    }
    return gone;
  }

  #learn(manifest: string, content: Manifest): Buffer {
    const known = this.packed(manifest);
    if (known !== undefined) return known;
    const packed = Buffer.from(packManifest(content, Buffer.from(content.chunks.join(''), 'hex')));
    this.#index.together(() => {
      this.#index.run('insert or ignore into contents values (?, ?)', manifest, packed);
      this.#index.run(
        'insert or ignore into held values (?, ?, ?)',
        manifest,
        new Uint8Array(Math.ceil(content.chunks.length / 8)),
        Date.now(),
      );
    });
    return packed;
  }

  /** `add`: of those that are here. */
  async #each(manifest: string, ranges: ChunkRanges, how: 'add' | 'delete'): Promise<void> {
    let changed = false;
    for (const [first, last] of ranges) {
      for (let from = first; from <= last; from += HOLD_SLICE) {
        if (this.#slice(manifest, from, Math.min(last, from + HOLD_SLICE - 1), how)) changed = true;
        if (last - from >= HOLD_SLICE) await turn();
      }
    }
    const content = this.content(manifest);
    if (content === undefined || (!changed && how === 'delete')) return;
    this.#onChange(manifest, content.packed, content.has);
  }

  #slice(manifest: string, first: number, last: number, how: 'add' | 'delete'): boolean {
    return this.#index.together(() => {
      const row = this.#index.get('select has, held_at from held where manifest = ?', manifest);
      const packed = row && this.packed(manifest);
      if (packed === undefined) return false;
      const has = new Bitmap(countOf(packed), bufferOf(row?.['has']));
      const heldAt = Number(row?.['held_at']);
      let changed = false;
      for (let at = first; at <= Math.min(last, has.length - 1); at++) {
        if (has.has(at) === (how === 'add')) continue;
        const digest = digestAt(packed, at);
        if (how === 'add') {
          if (this.#index.run('update chunks set refs = refs + 1 where digest = ?', digest) === 0) continue;
          has.add(at);
        } else {
          // Whoever asked for it since it is held for this content still gets it; what brought it does not count any more.
          this.#index.run(
            `update chunks set refs = max(0, refs - 1),
              keep_until = case when kept_at <= ? then 0 else keep_until end where digest = ?`,
            heldAt,
            digest,
          );
          has.delete(at);
        }
        changed = true;
      }
      if (changed) this.#index.run('update held set has = ? where manifest = ?', has.bytes, manifest);
      return changed;
    });
  }

  #remember(manifest: string, packed: Buffer): void {
    if (packed.length > MANIFEST_CACHE_BYTES / 4) return;
    this.#recent.set(manifest, packed);
    this.#recentBytes += packed.length;
    for (const [oldest] of this.#recent) {
      if (this.#recentBytes <= MANIFEST_CACHE_BYTES) return;
      this.#forget(oldest);
    }
  }

  #forget(manifest: string): void {
    const packed = this.#recent.get(manifest);
    if (packed === undefined) return;
    this.#recent.delete(manifest);
    this.#recentBytes -= packed.length;
  }
}

export function countOf(packed: Buffer): number {
  return (packed.length - HEAD) / DIGEST;
}

/** Digest of one chunk. */
export function digestAt(packed: Buffer, chunk: number): Buffer {
  return packed.subarray(HEAD + chunk * DIGEST, HEAD + (chunk + 1) * DIGEST);
}

/** Digests of all chunks, one after the other. */
export function digestsOf(packed: Buffer): Buffer {
  return packed.subarray(HEAD);
}

/** Size, cut and digest of the whole, of a compact manifest that was made here. */
export function headOf(packed: Buffer): Pick<Manifest, 'size' | 'chunkSize' | 'sha256'> {
  return {
    size: packed.readUInt32BE(8) * 4_294_967_296 + packed.readUInt32BE(12),
    chunkSize: packed.readUInt32BE(16),
    sha256: packed.toString('hex', 24, HEAD),
  };
}
