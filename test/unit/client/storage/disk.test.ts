import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';

import { WriteQueue } from '../../../../src/client/destinations/write-queue.ts';
import { openPartFile } from '../../../../src/client/storage/open-part-file.ts';
import type { PartFile } from '../../../../src/client/storage/part-file.ts';
import { ChunkLayout, MIB } from '../../../../src/core/chunks.ts';
import { bytesAt, failure, scratchFolder } from './scratch.ts';

const run = promisify(execFile);
const SIZE = 6 * MIB;
const layout = new ChunkLayout(SIZE, MIB);
const identity = { size: SIZE, sha256: 'a'.repeat(64) };
/** Only root can make file systems of its own. */
const asRoot =
  process.getuid?.() === 0 ? {} : { skip: 'NOT RUN: needs root, to mount a file system of its own' };

async function mounted(t: TestContext, options: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hw-mount-'));
  t.after(async () => {
    await run('umount', ['--lazy', folder]).catch(() => undefined);
    await rmdir(folder);
  });
  await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  return folder;
}

test(
  'a disk that becomes full keeps what was done, and the same download goes on when there is room',
  asRoot,
  async (t) => {
    const folder = await mounted(t, 'size=4m');
    const output = join(folder, 'file');
    const part = await openPartFile({ output, identity, layout });
    const fill = async (): Promise<void> => {
      for (let chunk = 0; chunk < layout.count; chunk++) {
        await part.write(bytesAt(layout.start(chunk), MIB), layout.start(chunk));
        part.markDone(chunk);
      }
    };
    await assert.rejects(fill(), failure('HW_DISK_FULL', `${output}.hw-part`));
    await part.close();
    assert.deepEqual((await readdir(folder)).sort(), ['file.hw-journal', 'file.hw-part']);

    await run('mount', ['-o', 'remount,size=16m', folder]);
    const again = await openPartFile({ output, identity, layout });
    assert.equal(again.done.count, 3, 'all that fitted');
    for (let chunk = 3; chunk < layout.count; chunk++) {
      await again.write(bytesAt(layout.start(chunk), MIB), layout.start(chunk));
      again.markDone(chunk);
    }
    await again.finish();
    assert.deepEqual(await readFile(output), bytesAt(0, SIZE));
  },
);

test(
  'a disk that becomes full under writes made at once says so, keeps what fitted and goes on',
  asRoot,
  async (t) => {
    const folder = await mounted(t, 'size=7m');
    const output = join(folder, 'file');
    const size = 10 * MIB;
    const large = new ChunkLayout(size, MIB);
    const of = { output, identity: { size }, layout: large };
    const part = await openPartFile(of);
    const queue = new WriteQueue(part);
    let atOnce = 0;
    const fill = async (to: PartFile, from: number): Promise<void> => {
      for (let chunk = from; chunk < large.count; chunk++) {
        await new Promise<void>((resolve, reject) => {
          let returned = false;
          const into = to === part ? queue : new WriteQueue(to);
          into.write(bytesAt(large.start(chunk), MIB), large.start(chunk), (error) => {
            if (!returned) atOnce++;
            if (error === undefined) resolve();
            else reject(error);
          });
          returned = true;
        });
        to.markDone(chunk);
      }
    };
    await assert.rejects(fill(part, 0), failure('HW_DISK_FULL', `${output}.hw-part`));
    await part.close();
    await run('mount', ['-o', 'remount,size=32m', folder]);
    const again = await openPartFile(of);
    assert.equal(again.done.count, 6, 'all that fitted');
    await fill(again, 6);
    assert.equal(atOnce, 2, 'of each run all but the first four');
    await again.finish();
    assert.deepEqual(await readFile(output), bytesAt(0, size));
  },
);

test('a disk so full that no new journal fits loses nothing that was done', asRoot, async (t) => {
  const folder = await mounted(t, 'size=4m');
  const output = join(folder, 'file');
  const part = await openPartFile({ output, identity, layout });
  await part.write(bytesAt(0, MIB), 0);
  const full = await writeFile(join(folder, 'others'), Buffer.alloc(4 * MIB)).catch(
    (error: unknown) => error,
  );
  assert.ok(full instanceof Error, 'the disk is full to the last page');
  part.markDone(0);
  await part.close();
  await rm(join(folder, 'others'));
  const again = await openPartFile({ output, identity, layout });
  assert.equal(again.done.count, 1);
  await again.close();
});

test('a file system that is full from the start is told of at once', asRoot, async (t) => {
  const folder = await mounted(t, 'size=1m');
  await writeFile(join(folder, 'others'), Buffer.alloc(2 * MIB)).catch(() => undefined);
  await assert.rejects(
    openPartFile({ output: join(folder, 'file'), identity, layout }),
    failure('HW_DISK_FULL', join(folder, 'file')),
  );
  assert.deepEqual(await readdir(folder), ['others']);
});

test('a read-only file system is told of', asRoot, async (t) => {
  const folder = await mounted(t, 'size=1m,ro');
  await assert.rejects(
    openPartFile({ output: join(folder, 'file'), identity, layout }),
    failure('HW_DISK', 'read-only'),
  );
});

test('a folder that is missing, or is no folder, is told of', async (t) => {
  const folder = await scratchFolder(t);
  await assert.rejects(
    openPartFile({ output: join(folder, 'missing', 'file'), identity, layout }),
    failure('HW_DISK', 'the folder does not exist'),
  );
  await writeFile(join(folder, 'plain'), '');
  await assert.rejects(
    openPartFile({ output: join(folder, 'plain', 'file'), identity, layout }),
    failure('HW_DISK', 'not a folder'),
  );
  await assert.rejects(
    openPartFile({ output: join(folder, 'x'.repeat(300)), identity, layout }),
    failure('HW_DISK', 'too long'),
  );
});

test('a file larger than the file system can hold is told of before any byte is fetched', async (t) => {
  const folder = await scratchFolder(t);
  const size = Number.MAX_SAFE_INTEGER;
  const output = join(folder, 'file');
  const huge = new ChunkLayout(size, 2 ** 40);
  const opened = await openPartFile({ output, identity: { size }, layout: huge }).catch(
    (error: unknown) => error,
  );
  if (!(opened instanceof Error)) return t.skip('this file system holds files of 8 PiB');
  assert.ok(failure('HW_DISK', 'too large')(opened));
  assert.deepEqual(await readdir(folder), []);
});
