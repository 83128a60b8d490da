import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { canonicalManifest, type Manifest } from '../../../../src/core/manifest.ts';
import { hasOf } from '../../../../src/file-server/fleet/announcer.ts';
import { Inventory, type SeenFile } from '../../../../src/file-server/fleet/inventory.ts';
import { GONE_MEMORY } from '../../../../src/file-server/fleet/limits.ts';
import { StateFile } from '../../../../src/file-server/fleet/state-file.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function manifestOf(content: string): { digest: string; manifest: Manifest } {
  const whole = sha256(content);
  const manifest: Manifest = { version: 1, size: 1, chunkSize: 1_048_576, sha256: whole, chunks: [whole] };
  return { digest: sha256(canonicalManifest(manifest)), manifest };
}

function file(name: string, state = '1 1 1 1', folder = '/f'): SeenFile {
  return { folder, name, path: `${folder}/${name}`, state, size: 1, modified: 0 };
}

let folder: string;
let state: StateFile;
let inventory: Inventory;
let changes: number;

function open(): void {
  state = new StateFile(folder);
  inventory = new Inventory(state, () => changes++);
}

function has(name: string, content: string, as?: string): string {
  const { digest, manifest } = manifestOf(content);
  const seen = file(name, as);
  inventory.saw(seen);
  assert.ok(inventory.hashed(seen, digest, manifest));
  return digest;
}

const held = () =>
  inventory
    .changedSince(0, 100)
    .filter((each) => each.held)
    .map(({ name }) => name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-inventory-'));
  changes = 0;
  open();
});

afterEach(() => {
  state.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('what is held', () => {
  test('has a new version with every change and none without one, also in the next process', () => {
    const before = inventory.version;
    const digest = has('a', 'a');
    assert.equal(inventory.version, before + 1);
    assert.equal(inventory.saw(file('a')), false);
    has('copy', 'a');
    assert.equal(inventory.version, before + 1);
    inventory.gone('/f', 'a', 1);
    assert.equal(inventory.version, before + 1, 'a copy is left');
    inventory.gone('/f', 'copy', 1);
    assert.equal(inventory.version, before + 2);
    assert.equal(changes, 2);
    state.close();
    open();
    assert.equal(inventory.version, before + 2);
    assert.deepEqual(
      inventory.changedSince(before + 1, 9).map(({ manifest, held: is }) => [manifest, is]),
      [[digest, false]],
    );
  });

  test('is released the moment a file is seen in another state', () => {
    has('a', 'a');
    assert.equal(inventory.saw(file('a', '2 2 2 2')), true);
    assert.deepEqual(held(), []);
    assert.deepEqual(
      inventory.pending(1, 9, 0, 9).map(({ name }) => name),
      ['a'],
    );
  });

  test('is not what was hashed when the file changed meanwhile', () => {
    const old = file('a');
    inventory.saw(old);
    inventory.saw(file('a', '2 2 2 2'));
    const { digest, manifest } = manifestOf('a');
    assert.equal(inventory.hashed(old, digest, manifest), false);
    assert.deepEqual(held(), []);
  });

  test('comes back without being hashed when the file does, for a week', () => {
    has('a', 'a');
    inventory.gone('/f', 'a', 1_000);
    inventory.prune(1_000 + GONE_MEMORY);
    assert.equal(inventory.saw(file('a')), false);
    assert.deepEqual(held(), ['a']);
    inventory.gone('/f', 'a', 1_000);
    inventory.prune(1_001 + GONE_MEMORY);
    assert.equal(inventory.horizon, inventory.version);
    assert.equal(inventory.saw(file('a')), true);
  });

  test('loses bad chunks until the file was written anew', () => {
    const digest = has('a', 'a');
    assert.equal(inventory.lost(digest, [0]), true);
    assert.equal(inventory.lost(digest, [0]), false);
    inventory.saw(file('a'));
    assert.deepEqual(inventory.holding(digest)?.missing, [0]);
    has('a', 'a', '2 2 2 2');
    assert.deepEqual(inventory.holding(digest)?.missing, []);
  });

  test('that was withdrawn stays so until it was gone from the folder', () => {
    const digest = has('a', 'a');
    inventory.withdraw(digest);
    inventory.withdraw(digest);
    assert.equal(inventory.holding(digest)?.withdrawn, true);
    has('copy', 'a');
    inventory.gone('/f', 'a', 1);
    assert.equal(inventory.holding(digest)?.withdrawn, true);
    inventory.gone('/f', 'copy', 1);
    has('a', 'a', '3 3 3 3');
    assert.equal(inventory.holding(digest)?.withdrawn, false);
    assert.deepEqual(held(), ['a']);
  });

  test('gives its manifest back as it was', () => {
    const digest = has('a', 'a');
    const manifest = inventory.manifest(digest);
    assert.ok(manifest);
    assert.equal(sha256(canonicalManifest(manifest)), digest);
    assert.equal(inventory.chunkDigest(digest, 0), sha256('a'));
    assert.equal(inventory.chunkDigest(digest, 1), undefined);
  });
});

describe('what is known of a folder', () => {
  test('is its files and its folders, whatever is below them', () => {
    for (const name of ['a', 'b/1', 'b/2/3', 'b0', 'b-', 'b/zz/1', 'c', 'ä/1', '\u{1f600}/1']) {
      inventory.saw(file(name));
    }
    inventory.saw(file('other', '1 1 1 1', '/g'));
    const top = inventory.children('/f', '');
    assert.deepEqual([...top.files].sort(), ['a', 'b-', 'b0', 'c']);
    assert.deepEqual([...top.folders].sort(), ['b', 'ä', '\u{1f600}'].sort());
    const below = inventory.children('/f', 'b');
    assert.deepEqual([...below.files], ['b/1']);
    assert.deepEqual([...below.folders], ['b/2', 'b/zz']);
    assert.deepEqual(inventory.namesBelow('/f', 'b'), ['b/1', 'b/2/3', 'b/zz/1']);
    assert.deepEqual(inventory.foldersExcept(['/f']), ['/g']);
  });

  test('is in full however many there are', () => {
    inventory.together(() => {
      for (let index = 0; index < 2_000; index++) inventory.saw(file(`d${index % 3}/${index}`));
      for (let index = 0; index < 1_200; index++) inventory.saw(file(`${index}`));
    });
    assert.equal(inventory.children('/f', '').files.size, 1_200);
    assert.deepEqual([...inventory.children('/f', '').folders], ['d0', 'd1', 'd2']);
    assert.equal(inventory.children('/f', 'd1').files.size, 667);
  });

  test('waits to be hashed newest first, without what rests', () => {
    for (const [index, name] of ['old', 'new', 'middle'].entries()) {
      inventory.saw({ ...file(name), modified: [1, 3, 2][index] ?? 0 });
    }
    inventory.retryAt(file('new'), 100);
    const names = (now: number) => inventory.pending(now, 9, 0, 9).map(({ name }) => name);
    assert.deepEqual(names(99), ['middle', 'old']);
    assert.equal(inventory.nextRetry(99), 100);
    assert.deepEqual(names(100), ['new', 'middle', 'old']);
    assert.equal(inventory.nextRetry(100), undefined);
  });
});

test('the chunks that are left are told as ranges', () => {
  assert.equal(hasOf([], 5), 'all');
  assert.deepEqual(hasOf([0, 4], 5), [[1, 3]]);
  assert.deepEqual(hasOf([1, 2], 5), [
    [0, 0],
    [3, 4],
  ]);
  assert.deepEqual(hasOf([0, 1], 2), []);
});
