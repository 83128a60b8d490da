import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

import { ChunkLayout } from '../../core/chunks.ts';
import { canonicalManifest, MANIFEST_VERSION, type Manifest } from '../../core/manifest.ts';
import { identityOf, identityText } from '../digests/file-identity.ts';
import type { SeenFile } from './inventory.ts';

/** What a file is. */
export interface Digested {
  readonly manifest: Manifest;
  /** Digest of the manifest's canonical text. */
  readonly manifestSha256: string;
}

/**
 * The digests of a file that is one read, here and now: handing it to a thread takes longer. `changed` when it is not, or did
 * not stay, in the state that it was seen in.
 *
 * @throws what the file system says
 */
export async function digestSmallFile({ path, state, size }: SeenFile): Promise<Digested | 'changed'> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const isSame = async () => identityText(identityOf(await file.stat({ bigint: true }))) === state;
    if (!(await isSame())) return 'changed';
    const bytes = Buffer.allocUnsafe(size);
    let read = 0;
    while (read < size) {
      const { bytesRead } = await file.read(bytes, read, size - read, read);
      if (bytesRead === 0) return 'changed';
      read += bytesRead;
    }
    if (!(await isSame())) return 'changed';
    return digested(bytes);
  } finally {
    await file.close();
  }
}

function digested(bytes: Buffer): Digested {
  const layout = new ChunkLayout(bytes.length);
  const chunks = Array.from({ length: layout.count }, (_, index) =>
    sha256(bytes.subarray(layout.start(index), layout.end(index))),
  );
  const manifest: Manifest = {
    version: MANIFEST_VERSION,
    size: bytes.length,
    chunkSize: layout.chunkSize,
    sha256: sha256(bytes),
    chunks,
  };
  return { manifest, manifestSha256: sha256(canonicalManifest(manifest)) };
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
