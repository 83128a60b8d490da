import { ChunkLayout } from '../../core/chunks.ts';
import type { DigestService } from '../digests/digest-service.ts';
import { identityText } from '../digests/file-identity.ts';
import type { FileInPlace } from '../file-in-place.ts';
import { FolderStore } from '../folder-store.ts';
import type { ContentStore, OpenedContent } from '../store.ts';
import type { Inventory, Place } from './inventory.ts';

export interface FolderContentsOptions {
  /** Real paths. */
  readonly folders: readonly string[];
  readonly inventory: Inventory;
  readonly digests: DigestService;
  /** A file is not what the inventory says. */
  readonly onOther: (place: Place) => void;
}

/** Contents that lie in folders, found by the inventory. */
export class FolderContents implements ContentStore {
  readonly #options: FolderContentsOptions;
  readonly #stores: ReadonlyMap<string, FolderStore>;

  constructor(options: FolderContentsOptions) {
    this.#options = options;
    const { folders, digests } = options;
    // What a file that changed is now, the inventory's own look at it finds out.
    const store = (path: string) => new FolderStore([{ kind: 'folder', path }], digests, () => undefined);
    this.#stores = new Map(folders.map((path) => [path, store(path)]));
  }

  async openContent(manifest: string): Promise<OpenedContent | undefined> {
    const { inventory } = this.#options;
    const holding = inventory.holding(manifest);
    if (holding === undefined || !holding.held || holding.withdrawn) return undefined;
    for (const place of inventory.places(manifest)) {
      const file = await this.openPlace(place);
      if (file === undefined) continue;
      const { sha256, name, size, chunkSize, missing } = holding;
      return { file, sha256, name, layout: new ChunkLayout(size, chunkSize), missing };
    }
    return undefined;
  }

  /** The file there, when it is still the one that was hashed. */
  async openPlace(place: Place): Promise<FileInPlace | undefined> {
    const file = await this.#stores.get(place.folder)?.open(place.name);
    if (file !== undefined && identityText(file.identity) === place.state) return file;
    file?.close();
    this.#options.onOther(place);
    return undefined;
  }

  close(): void {
    for (const store of this.#stores.values()) store.close();
  }
}
