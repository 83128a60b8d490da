import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test } from 'node:test';

import { FairLimit, type LimitedUser } from '../../../src/file-server/fair-limit.ts';

/** Takes all it is granted, up to `most` at once, and asks again. */
class Greedy implements LimitedUser {
  readonly #limit: FairLimit;
  readonly #most: number;
  sent = 0;
  largest = 0;
  #stopped = false;

  constructor(limit: FairLimit, most = Infinity) {
    this.#limit = limit;
    this.#most = most;
    limit.join();
    limit.ask(this);
  }

  granted(bytes: number): number {
    const taken = Math.min(bytes, this.#most);
    this.sent += taken;
    this.largest = Math.max(this.largest, taken);
    setImmediate(() => {
      if (!this.#stopped) this.#limit.ask(this);
    });
    return taken;
  }

  stop(): void {
    this.#stopped = true;
    this.#limit.forget(this);
    this.#limit.leave();
  }
}

const RATE = 4 * 1024 * 1024;

describe('a limit', () => {
  test('is kept, and shared equally', async () => {
    const limit = new FairLimit(RATE);
    const begun = performance.now();
    const users = Array.from({ length: 4 }, () => new Greedy(limit));
    await sleep(500);
    for (const user of users) user.stop();
    const allowed = ((performance.now() - begun) / 1000) * RATE;
    const sent = users.map((each) => each.sent);
    const all = sent.reduce((sum, each) => sum + each, 0);
    assert.ok(all <= allowed + 64 * 1024, `${all} of ${allowed}`);
    assert.ok(all >= allowed * 0.7, `${all} of ${allowed}`);
    assert.ok(Math.max(...sent) - Math.min(...sent) <= 2 * Math.max(...users.map((each) => each.largest)));
  });

  test('gives to others what one does not use', async () => {
    const limit = new FairLimit(RATE);
    const begun = performance.now();
    const modest = new Greedy(limit, 100);
    const greedy = new Greedy(limit);
    await sleep(500);
    modest.stop();
    greedy.stop();
    const allowed = ((performance.now() - begun) / 1000) * RATE;
    assert.ok(greedy.sent >= allowed * 0.6, `${greedy.sent} of ${allowed}`);
  });

  test('sends in small parts, so that it looks smooth', async () => {
    const limit = new FairLimit(RATE);
    const user = new Greedy(limit);
    await sleep(100);
    user.stop();
    assert.ok(user.sent > 0);
    assert.ok(user.largest <= RATE / 50, `${user.largest}`);
  });

  test('grants nothing to who is forgotten', async () => {
    const limit = new FairLimit(2048);
    const first = new Greedy(limit);
    const second = new Greedy(limit);
    second.stop();
    const before = second.sent;
    await sleep(50);
    first.stop();
    assert.equal(second.sent, before);
  });
});
