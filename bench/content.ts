import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat, truncate, writeFile } from 'node:fs/promises';

import { ChunkLayout } from '../src/core/chunks.ts';
import { MANIFEST_VERSION, canonicalManifest } from '../src/core/manifest.ts';
import type { Workspace } from './workspace.ts';

const BLOCK = 8 * 1024 * 1024;

/** A file to be moved, and what is known of it. */
export interface Content {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  /** SHA-256 of the whole, hex. */
  readonly sha256: string;
  /** A manifest of it, beside it. */
  readonly manifest: string;
}

/** Makes a file of random bytes, with a manifest, in the workspace's folder "served". */
export async function randomContent(workspace: Workspace, name: string, size: number): Promise<Content> {
  const path = `${await workspace.folder('served')}/${name}`;
  const file = await open(path, 'w');
  try {
    const block = Buffer.allocUnsafe(BLOCK);
    for (let at = 0; at < size; at += BLOCK) {
      await file.write(randomFillSync(block), 0, Math.min(BLOCK, size - at), at);
    }
  } finally {
    await file.close();
  }
  return describe(workspace, path, name);
}

/** Makes a file that is one hole, with a manifest. */
export async function sparseContent(workspace: Workspace, name: string, size: number): Promise<Content> {
  const path = `${await workspace.folder('served')}/${name}`;
  await writeFile(path, '');
  await truncate(path, size);
  return describe(workspace, path, name);
}

async function describe(workspace: Workspace, path: string, name: string): Promise<Content> {
  const { size } = await stat(path);
  const layout = new ChunkLayout(size);
  const whole = createHash('sha256');
  const chunks: string[] = [];
  let chunk = createHash('sha256');
  let at = 0;
  for await (const block of blocks(path)) {
    whole.update(block);
    for (let from = 0; from < block.length;) {
      const end = layout.end(layout.at(at));
      const part = block.subarray(from, from + Math.min(block.length - from, end - at));
      chunk.update(part);
      from += part.length;
      at += part.length;
      if (at < end) continue;
      chunks.push(chunk.digest('hex'));
      chunk = createHash('sha256');
    }
  }
  const sha256 = whole.digest('hex');
  const manifest = workspace.at(`${name}.manifest`);
  const { chunkSize } = layout;
  await writeFile(
    manifest,
    canonicalManifest({ version: MANIFEST_VERSION, size, chunkSize, sha256, chunks }),
  );
  return { path, name, size, sha256, manifest };
}

/** SHA-256 of a file, hex. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const block of blocks(path)) hash.update(block);
  return hash.digest('hex');
}

function blocks(path: string): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: BLOCK });
}
