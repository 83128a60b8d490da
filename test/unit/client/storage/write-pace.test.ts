import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WritePace } from '../../../../src/client/storage/write-pace.ts';

/** A pace on a clock that the test moves. */
class Setting {
  readonly pace: WritePace;
  now = 1000;

  constructor(local = true) {
    this.pace = new WritePace(local, () => this.now);
  }

  async poolWrites(count: number, milliseconds = 1): Promise<void> {
    for (let i = 0; i < count; i++) await this.pool(milliseconds);
  }

  pool(milliseconds: number): Promise<void> {
    const end = Promise.withResolvers<void>();
    const watched = this.pace.watch(end.promise);
    this.now += milliseconds;
    end.resolve();
    return watched;
  }

  write(milliseconds: number): void {
    this.pace.time(() => (this.now += milliseconds));
  }

  sync(): { end(milliseconds: number): Promise<void>; fail(): Promise<void> } {
    const end = Promise.withResolvers<void>();
    const watched = this.pace.watchSync(end.promise);
    return {
      end: (milliseconds) => {
        this.now += milliseconds;
        end.resolve();
        return watched;
      },
      fail: () => {
        end.reject(new Error('gone'));
        return watched;
      },
    };
  }
}

test('nothing is written at once before a few writes have shown what the disk is like', async () => {
  const setting = new Setting();
  await setting.poolWrites(3);
  assert.equal(setting.pace.atOnce, false);
  await setting.poolWrites(1);
  assert.equal(setting.pace.atOnce, true);
});

test('nothing is ever written at once to a file system that may ask another machine', async () => {
  const setting = new Setting(false);
  await setting.poolWrites(100);
  assert.equal(setting.pace.atOnce, false);
});

test('the longer a write took, the longer none is made at once', async () => {
  for (const [milliseconds, rest] of [
    [21, 525],
    [2000, 50_000],
  ] as const) {
    const setting = new Setting();
    await setting.poolWrites(4);
    setting.write(20);
    assert.equal(setting.pace.atOnce, true, 'that was not slow');
    setting.write(milliseconds);
    assert.equal(setting.pace.atOnce, false);
    setting.now += rest - 1;
    assert.equal(setting.pace.atOnce, false);
    setting.now++;
    assert.equal(setting.pace.atOnce, true);
  }
});

test('a disk that keeps the thread pool waiting is left to it', async () => {
  const setting = new Setting();
  await setting.poolWrites(4);
  await setting.pool(250);
  assert.equal(setting.pace.atOnce, true);
  await setting.pool(300);
  assert.equal(setting.pace.atOnce, false);
});

test('nothing is written at once while data is made to last, nor after that took long', async () => {
  const setting = new Setting();
  await setting.poolWrites(4);
  const quick = setting.sync();
  assert.equal(setting.pace.atOnce, false);
  await quick.end(250);
  assert.equal(setting.pace.atOnce, true);
  await setting.sync().end(251);
  setting.now += 60_000;
  assert.equal(setting.pace.atOnce, false, 'not before the next sync is quick again');
  await setting.sync().end(1);
  assert.equal(setting.pace.atOnce, true);
});

test('a write or a sync that fails is told of', async () => {
  const setting = new Setting();
  await assert.rejects(setting.pace.watch(Promise.reject(new Error('full'))), /full/);
  await assert.rejects(setting.sync().fail(), /gone/);
});
