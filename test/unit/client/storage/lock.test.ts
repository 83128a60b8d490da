import assert from 'node:assert/strict';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { thisProcess, type LockOwner } from '../../../../src/client/storage/lock-owner.ts';
import { acquireLock, FileLock } from '../../../../src/client/storage/lock.ts';
import { openPartFile } from '../../../../src/client/storage/open-part-file.ts';
import { ChunkLayout } from '../../../../src/core/chunks.ts';
import { Child } from './child.ts';
import { failure, scratchFolder } from './scratch.ts';

async function lockPath(t: TestContext): Promise<{ folder: string; path: string }> {
  const folder = await scratchFolder(t);
  return { folder, path: join(folder, 'file.hw-lock') };
}

/** Who a killed process was. */
async function deadOwner(t: TestContext, path: string): Promise<LockOwner> {
  const child = new Child(t, './lock-program.ts', []);
  child.tell(`take ${path}`);
  assert.equal(await child.says(), 'taken');
  await child.kill();
  return JSON.parse(await readFile(path, 'utf8')) as LockOwner;
}

async function leave(path: string, owner: Partial<LockOwner>): Promise<void> {
  await writeFile(path, JSON.stringify({ ...(await thisProcess()), ...owner }));
}

async function take(path: string): Promise<FileLock> {
  const lock = await acquireLock(path);
  assert.ok(lock instanceof FileLock, 'the lock is free');
  return lock;
}

async function holder(path: string): Promise<LockOwner> {
  const lock = await acquireLock(path);
  assert.ok('heldBy' in lock, 'the lock is held');
  return lock.heldBy;
}

test('a lock is held by one, and free again after its release', async (t) => {
  const { folder, path } = await lockPath(t);
  const lock = await take(path);
  assert.equal((await holder(path)).pid, process.pid);
  await lock.release();
  await lock.release();
  await (await take(path)).release();
  assert.deepEqual(await readdir(folder), []);
});

test('an output that another process writes is refused, and its process named; when that was killed it is free', async (t) => {
  const { folder, path } = await lockPath(t);
  const child = new Child(t, './lock-program.ts', []);
  child.tell(`take ${path}`);
  assert.equal(await child.says(), 'taken');
  const options = { output: join(folder, 'file'), identity: { size: 1 }, layout: new ChunkLayout(1) };
  await assert.rejects(openPartFile(options), failure('HW_OUTPUT_BUSY', `process ${child.pid} `));
  assert.deepEqual(await readdir(folder), ['file.hw-lock']);
  await child.kill();
  const part = await openPartFile(options);
  await part.close();
  assert.deepEqual(await readdir(folder), []);
});

test('of two processes that start the same output at once exactly one gets it', async (t) => {
  const { folder } = await lockPath(t);
  const children = [1, 2, 3].map(() => new Child(t, './lock-program.ts', []));
  for (let round = 0; round < 30; round++) {
    const path = join(folder, `file-${round}.hw-lock`);
    // Half of the rounds begin with the lock of a dead process.
    if (round % 2 === 0) await leave(path, { pid: 2 ** 22 + 1, begun: '1', id: `dead${round}` });
    for (const child of children) child.tell(`take ${path}`);
    const answers = await Promise.all(children.map((child) => child.says()));
    const winners = answers.filter((answer) => answer === 'taken');
    assert.equal(winners.length, 1, `round ${round}: ${answers.join(', ')}`);
    for (const child of children) child.tell('release');
    await Promise.all(children.map((child) => child.says()));
  }
  assert.deepEqual(await readdir(folder), []);
});

test('the lock of a dead process is taken over by exactly one of many', async (t) => {
  const { folder, path } = await lockPath(t);
  const dead = await deadOwner(t, path);
  for (let round = 0; round < 100; round++) {
    await leave(path, { ...dead, id: `dead${round}` });
    // Now and then the one that was taking over is dead too.
    if (round % 3 === 0) await leave(`${path}.dead${round}`, { ...dead, id: 'dead' });
    const locks = await Promise.all(Array.from({ length: 8 }, () => acquireLock(path)));
    const won = locks.filter((lock) => lock instanceof FileLock);
    assert.equal(won.length, 1, `round ${round}`);
    await won[0]?.release();
  }
  assert.deepEqual(await readdir(folder), []);
});

test('a process number that is used again does not keep a dead lock alive', async (t) => {
  const { path } = await lockPath(t);
  await leave(path, { begun: '1', id: 'dead' });
  await (await take(path)).release();
});

test('a lock out of sight is respected while it is touched, and taken over when it is not', async (t) => {
  const { path } = await lockPath(t);
  for (const owner of [{ host: 'elsewhere' }, { boot: 'another' }, { space: 'pid:[1]' }]) {
    await leave(path, { ...owner, id: 'far' });
    assert.equal((await holder(path)).id, 'far');
    const long = new Date(Date.now() - 60_000);
    await utimes(path, long, long);
    await (await take(path)).release();
  }
});

test('a lock file that a power failure tore does not block for long', async (t) => {
  const { path } = await lockPath(t);
  await writeFile(path, '{"pid":');
  await holder(path);
  const long = new Date(Date.now() - 60_000);
  await utimes(path, long, long);
  await (await take(path)).release();
});

test('a lock that was taken over by somebody else is not removed by its former owner', async (t) => {
  const { path } = await lockPath(t);
  const lock = await take(path);
  await leave(path, { id: 'other' });
  await lock.release();
  assert.match(await readFile(path, 'utf8'), /other/);
});
