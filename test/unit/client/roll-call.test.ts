import assert from 'node:assert/strict';
import { describe, mock, test, type TestContext } from 'node:test';

import { RollCall } from '../../../src/client/roll-call.ts';
import { SourceError } from '../../../src/client/sources/fault.ts';
import { Source } from '../../../src/client/sources/source.ts';
import { Vouched } from '../../../src/client/sources/vouched.ts';
import type { FaultKind } from '../../../src/core/scheduler/types.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';

/** What a source answers when it is asked: a fault, itself, or nothing until the signal fires. */
type Answer = FaultKind | 'here' | 'nothing';

/** Sources that answer by a script, one answer each time they are asked, the last one for ever. */
class Call {
  readonly heard: string[] = [];
  readonly asked: number[] = [];
  readonly stop = new AbortController();
  readonly sources: readonly Source[];
  readonly roll: RollCall;
  /** Whether there are new credentials. */
  renews = true;
  renewals = 0;
  #news: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(context: TestContext, ...scripts: readonly (readonly Answer[])[]) {
    // Waits are as short as they can be.
    context.mock.method(Math, 'random', () => 0);
    this.sources = scripts.map(
      (_, at) =>
        new Source(at + 1, new URL(`http://s${at + 1}.example/`), () => ({}), defaultTransportSettings),
    );
    this.roll = new RollCall({
      signal: this.stop.signal,
      ask: (source, signal) => {
        this.asked.push(source.id);
        const script = scripts[source.id - 1] ?? [];
        const times = this.asked.filter((id) => id === source.id).length;
        const answer = script[Math.min(times, script.length) - 1] ?? 'nothing';
        if (answer === 'here') return Promise.resolve(new Vouched(1));
        if (answer !== 'nothing')
          return Promise.reject(new SourceError({ kind: answer, retryAfter: 0 }, answer));
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
      },
      renew: () => {
        this.renewals++;
        return Promise.resolve(this.renews);
      },
      answered: ({ id }) => this.#hear(`${id} answered`),
      waiting: ({ id }, { code }) => this.#hear(`${id} waits: ${code}`),
      gone: ({ id }, fault) => this.#hear(`${id} gone: ${fault}`),
      failed: (error) => this.#hear(String(error)),
    });
    for (const source of this.sources) this.roll.add(source);
  }

  source(id: number): Source {
    const source = this.sources[id - 1];
    assert.ok(source !== undefined);
    return source;
  }

  #hear(what: string): void {
    this.heard.push(what);
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  /** Resolves when so much was heard. */
  async until(count: number): Promise<readonly string[]> {
    while (this.heard.length < count) await this.#news.promise;
    return this.heard;
  }
}

describe('a roll call', () => {
  test('asks all at once, and has heard all when each has answered or failed', async (context) => {
    const call = new Call(context, ['here'], ['not-found'], ['connect', 'here']);
    assert.deepEqual(call.asked, [1, 2, 3]);
    assert.equal(call.roll.heardAll, false);
    assert.deepEqual([...(await call.until(3))].sort(), [
      '1 answered',
      '2 gone: not-found',
      '3 waits: HW_CONNECT',
    ]);
    assert.equal(call.roll.heardAll, true);
    assert.equal(call.roll.hopeful, true);
    await call.until(4);
    assert.equal(call.heard[3], '3 answered');
    assert.equal(call.roll.hopeful, false);
  });

  test('asks again what may pass, for as long as it takes', async (context) => {
    const call = new Call(context, ['connect', 'silent', 'unavailable', 'connect', 'here']);
    assert.deepEqual(await call.until(5), [
      '1 waits: HW_CONNECT',
      '1 waits: HW_SILENT',
      '1 waits: HW_UNAVAILABLE',
      '1 waits: HW_CONNECT',
      '1 answered',
    ]);
  });

  test('asks as often as the table of faults says, and no more', async (context) => {
    const call = new Call(context, ['protocol']);
    assert.deepEqual(await call.until(3), [
      '1 waits: HW_PROTOCOL',
      '1 waits: HW_PROTOCOL',
      '1 gone: protocol',
    ]);
    assert.equal(call.asked.length, 3);
    assert.equal(call.roll.hopeful, false);
  });

  test('asks at once with new credentials, and gives up where there are none', async (context) => {
    const call = new Call(context, ['expired', 'here']);
    assert.deepEqual(await call.until(1), ['1 answered']);
    assert.equal(call.renewals, 1);
    const other = new Call(context, ['expired', 'here']);
    other.renews = false;
    assert.deepEqual(await other.until(1), ['1 gone: expired']);
    assert.equal(other.asked.length, 1);
  });

  test('takes in who joins later, and asks nobody twice at once', async (context) => {
    const call = new Call(context, ['nothing'], ['here']);
    await call.until(1);
    call.roll.add(call.source(1));
    assert.deepEqual(call.asked, [1, 2]);
    call.roll.add(call.source(2));
    assert.deepEqual(call.asked, [1, 2, 2]);
    call.stop.abort();
  });

  test('waits no more for whom it drops, and asks it anew when it is back', async (context) => {
    const call = new Call(context, ['nothing', 'here']);
    assert.equal(call.roll.heardAll, false);
    call.roll.drop(call.source(1));
    assert.equal(call.roll.heardAll, true);
    assert.equal(call.roll.hopeful, false);
    call.roll.add(call.source(1));
    assert.deepEqual(await call.until(1), ['1 answered']);
  });

  test('says nothing any more once it is over, and asks nobody', async (context) => {
    const call = new Call(context, ['nothing'], ['connect', 'here']);
    await call.until(1);
    call.stop.abort();
    call.roll.add(call.source(2));
    await new Promise(setImmediate);
    assert.deepEqual(call.heard, ['2 waits: HW_CONNECT']);
    assert.deepEqual(call.asked, [1, 2]);
  });

  test('tells of what is no fault of a source', async () => {
    const failed = Promise.withResolvers<unknown>();
    const roll = new RollCall({
      signal: new AbortController().signal,
      ask: () => Promise.reject(new TypeError('a defect')),
      renew: mock.fn(),
      answered: () => assert.fail(),
      waiting: () => assert.fail(),
      gone: () => assert.fail(),
      failed: failed.resolve,
    });
    roll.add(new Source(1, new URL('http://a.example/'), () => ({}), defaultTransportSettings));
    assert.ok((await failed.promise) instanceof TypeError);
  });
});
