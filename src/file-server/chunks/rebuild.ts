import { setImmediate as turn } from 'node:timers/promises';

import type { Manifest } from '../../core/manifest.ts';
import type { ChunkStore } from './chunk-store.ts';
import type { HeldContents } from './held-contents.ts';

export interface RebuildOptions {
  readonly store: ChunkStore;
  readonly held: HeldContents;
  /** Contents that were held, as the server's other database knows them: manifests, a page at a time. */
  readonly heldBefore: (after: string, most: number) => readonly string[];
  readonly manifestOf: (digest: string) => Manifest | undefined;
  /** Chunks that the index had and the folder has not, for people. */
  readonly onLost: (digests: readonly string[]) => void;
  readonly signal: AbortSignal;
}

/** Contents looked at before other work has its turn. */
const PAGE = 16;

/**
 * Makes the index say what is there, after a crash, or when it is new: looks at every folder, one by one, and holds the contents
 * again that were held. Chunks that nobody is known to want stay for a day.
 */
export async function rebuildIndex(options: RebuildOptions): Promise<void> {
  const { store, held, signal } = options;
  const isNew = store.index.fact('counted') !== '1';
  let lost = 0;
  for (let first = 0; first < 256 && !signal.aborted; first++) lost += await compareFolder(options, first);
  if (signal.aborted) return;
  if (lost > 0 && !isNew) await held.settle();
  await holdAgain(options, isNew);
  if (isNew && !signal.aborted) await held.recount();
  if (!signal.aborted) store.index.setFact('counted', '1');
}

/** Gives how many chunks of the index are not there. */
async function compareFolder({ store, onLost, signal }: RebuildOptions, first: number): Promise<number> {
  const lost: string[] = [];
  const name = hex(first);
  const folders = new Set(await store.folder.foldersBelow(name));
  if (folders.size === 0 && store.state.chunks === 0) return 0;
  for (let second = 0; second < 256 && !signal.aborted; second++) {
    const known = new Set(store.index.beginningWith(first, second).map((each) => each.toString('hex')));
    const below = folders.has(hex(second)) ? await store.folder.digestsBelow(name, hex(second)) : [];
    for (const each of below) if (!known.delete(each)) await store.reconcile(each);
    for (const each of known) await store.reconcile(each);
    // It may have come while the folder was read.
    lost.push(...[...known].filter((each) => !store.index.has(Buffer.from(each, 'hex'))));
  }
  if (lost.length > 0) onLost(lost);
  return lost.length;
}

async function holdAgain({ held, heldBefore, manifestOf, signal }: RebuildOptions, isNew: boolean) {
  for (let after = ''; !signal.aborted;) {
    const page = heldBefore(after, PAGE);
    for (const each of page) {
      const manifest = held.packed(each) === undefined ? manifestOf(each) : undefined;
      if (manifest !== undefined && isNew) held.learn(each, manifest);
      else if (manifest !== undefined) await held.hold(each, manifest);
      else if (!isNew) held.tell(each);
    }
    const last = page.at(-1);
    if (last === undefined) return;
    after = last;
    await turn();
  }
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
