import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';

import { canonicalManifest, MANIFEST_VERSION, type Manifest } from '../../../../src/core/manifest.ts';
import { ChunkStock } from '../../../../src/file-server/chunks/chunk-stock.ts';
import { FolderStock } from '../../../../src/file-server/fleet/folder-stock.ts';
import { StateFile } from '../../../../src/file-server/fleet/state-file.ts';
import { until } from '../../../integration/serve-lab.ts';
import { holdsContents, type StoreUnderTest } from './contract.ts';

const MIB = 1024 * 1024;
const fail = (error: Error): never => {
  throw error;
};

describe('contents in a folder', () => holdsContents(inFolder));
describe('contents in chunks', () => holdsContents(inChunks));

async function inFolder(): Promise<StoreUnderTest> {
  const scratch = await mkdtemp(join(tmpdir(), 'headwater-contents-'));
  const folder = join(scratch, 'files');
  await mkdir(folder);
  const state = new StateFile(scratch);
  const stock = new FolderStock({
    folders: [folder],
    state,
    cache: false,
    rescanEvery: 100,
    isBusy: () => false,
    onHeld: () => undefined,
    onHashed: () => undefined,
    onBadChunk: () => undefined,
    verifyStored: async () => 'unknown',
    onFault: fail,
  });
  stock.start();
  const paths = new Map<string, string>();
  return {
    store: stock.contents,
    async add(bytes) {
      const { digest } = manifestOf(bytes);
      const path = join(folder, `file-${paths.size}`);
      paths.set(digest, path);
      await writeFile(path, bytes);
      await utimes(path, 1_700_000_000, 1_700_000_000);
      await until(() => stock.inventory.holding(digest)?.held === true);
      return digest;
    },
    async lose(manifest, chunk) {
      stock.inventory.lost(manifest, [chunk]);
    },
    async remove(manifest) {
      await unlink(paths.get(manifest) ?? '');
    },
    async [Symbol.asyncDispose]() {
      await stock.close();
      state.close();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

async function inChunks(): Promise<StoreUnderTest> {
  const data = await mkdtemp(join(tmpdir(), 'headwater-contents-'));
  const stock = await ChunkStock.open({
    data,
    capacity: undefined,
    reserve: 0,
    scrubInterval: 1_000_000,
    heldBefore: () => [],
    manifestOf: () => undefined,
    onHeld: () => undefined,
    onBadChunk: () => undefined,
    onFault: fail,
  });
  stock.start();
  return {
    store: stock.contents,
    async add(bytes) {
      const { digest, manifest } = manifestOf(bytes);
      for (const [at, chunk] of manifest.chunks.entries()) {
        const part = bytes.subarray(at * MIB, (at + 1) * MIB);
        const draft = await stock.store.draft(chunk, part.length, Date.now() + 60_000);
        draft.take(part, () => undefined);
        await draft.store();
      }
      await stock.held.hold(digest, manifest);
      return digest;
    },
    async lose(manifest, chunk) {
      const digest = stock.held.manifest(manifest)?.chunks[chunk] ?? '';
      await unlink(stock.store.folder.path(digest));
      await stock.store.isOnDisk(digest);
      await until(() => stock.held.content(manifest)?.has.has(chunk) === false);
    },
    async remove(manifest) {
      await stock.held.drop(manifest);
    },
    async [Symbol.asyncDispose]() {
      await stock.close();
      await rm(data, { recursive: true, force: true });
    },
  };
}

function manifestOf(bytes: Buffer): { readonly digest: string; readonly manifest: Manifest } {
  const chunks = Array.from({ length: Math.ceil(bytes.length / MIB) }, (_, at) =>
    sha256(bytes.subarray(at * MIB, (at + 1) * MIB)),
  );
  const manifest: Manifest = {
    version: MANIFEST_VERSION,
    size: bytes.length,
    chunkSize: MIB,
    sha256: sha256(bytes),
    chunks,
  };
  return { digest: sha256(canonicalManifest(manifest)), manifest };
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
