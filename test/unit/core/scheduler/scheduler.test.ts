import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { MIB } from '../../../../src/core/chunks.ts';
import type { Action } from '../../../../src/core/scheduler/types.ts';
import { type Fetch, holding, Play } from './play.ts';

function one(fetches: readonly Fetch[]): Fetch {
  const [first, ...more] = fetches;
  assert.ok(first !== undefined && more.length === 0, `${fetches.length} requests`);
  return first;
}

function of(fetches: readonly Fetch[], source: number): Fetch {
  return one(fetches.filter((fetch) => fetch.source === source));
}

function lastSaidOf(actions: readonly Action[], source: number): Extract<Action, { type: 'source' }> {
  const last = actions.findLast((action) => action.type === 'source' && action.source === source);
  assert.ok(last?.type === 'source');
  return last;
}

describe('the scheduler', () => {
  it('asks a source that it does not know for one chunk first, and for more once it knows its rate', () => {
    const play = new Play(64, [7]);
    const first = one(play.fetches());
    assert.deepEqual([first.from, first.to, first.hedge], [0, 1, false]);
    play.bringAll(first, MIB / 20);
    const second = one(play.fetches());
    assert.ok(second.from === 1 && second.to > 2);
  });

  it('is done when the last chunk is right, not when it has landed', () => {
    const play = new Play(1, [1]);
    const { lane } = one(play.fetches());
    play.bring(lane, 0, MIB / 10, 'none');
    play.scheduler.laneEnded(lane, undefined, play.now);
    assert.equal(play.scheduler.finished, false);
    assert.deepEqual(play.fetches(), []);
    play.scheduler.verified(lane, 0, play.now);
    assert.equal(play.scheduler.finished, true);
    play.decide();
    assert.equal(play.scheduler.wakeAt, Infinity);
  });

  it('asks only for what an earlier run did not leave', () => {
    const play = new Play(4, [1], { done: holding(4, [0, 2, 3]) });
    const fetch = one(play.fetches());
    assert.deepEqual([fetch.from, fetch.to], [1, 2]);
  });

  it('keeps its own copy of what an earlier run left', () => {
    const done = holding(2, [0]);
    const play = new Play(2, [1], { done });
    done.add(1);
    assert.equal(play.scheduler.done.has(1), false);
  });

  it('has nothing to ask for an empty file', () => {
    const play = new Play(0, [1]);
    assert.equal(play.scheduler.finished, true);
    assert.deepEqual(play.fetches(), []);
  });

  it('asks for nothing at or past the limit', () => {
    const play = new Play(8, [1, 2, 3]);
    play.scheduler.setLimit(2);
    const asked = play.fetches().map(({ from, to }) => `${from}-${to}`);
    assert.deepEqual(new Set(asked), new Set(['0-1', '1-2']));
    assert.equal(asked.length, 2);
  });

  it('bans who sent a wrong chunk and has it fetched from another', () => {
    const play = new Play(2, [1, 2]);
    const fetches = play.fetches();
    const liar = of(fetches, 1);
    play.bring(liar.lane, liar.from, MIB / 10, 'bad');
    play.scheduler.laneEnded(liar.lane, undefined, play.now);
    assert.deepEqual(lastSaidOf(play.decide(), 1).state, 'banned');
    play.bringAll(of(fetches, 2));
    const again = one(play.fetches());
    assert.deepEqual([again.source, again.from], [2, liar.from]);
    assert.equal(play.scheduler.wastedBytes, MIB);
    assert.equal(play.scheduler.views(play.now).find(({ source }) => source === 1)?.badChunks, 1);
  });

  it('cancels every lane of a source that is banned from outside', () => {
    const play = new Play(8, [1], { fixedConnections: true, mostConnections: 4 });
    const lanes = play.fetches().map(({ lane }) => lane);
    assert.equal(lanes.length, 4);
    play.scheduler.ban(1, 'disagrees', play.now);
    const cancelled = play.decide().flatMap((action) => (action.type === 'cancel' ? [action.lane] : []));
    assert.deepEqual(new Set(cancelled), new Set(lanes));
  });

  it('does not cancel a lane that has ended meanwhile', () => {
    const play = new Play(8, [1]);
    const { lane } = one(play.fetches());
    play.scheduler.ban(1, 'disagrees', play.now);
    play.scheduler.laneEnded(lane, { kind: 'connect' }, play.now);
    assert.ok(!play.decide().some(({ type }) => type === 'cancel'));
  });

  it('keeps a cancelled lane\u2019s chunks from others until it has ended', () => {
    const play = new Play(1, [1, 2]);
    const first = one(play.fetches());
    play.scheduler.ban(first.source, 'disagrees', play.now);
    assert.ok(!play.fetches(1).some(({ hedge }) => !hedge));
    play.scheduler.laneEnded(first.lane, undefined, play.now);
    const next = play.fetches(1);
    assert.ok(next.length > 0 || play.said.some((action) => action.type === 'fetch' && action.hedge));
  });

  it('leaves a source alone for as long as it asks for, whichever of its lanes was told', () => {
    const play = new Play(8, [1], { fixedConnections: true, mostConnections: 2 });
    const [first, second] = play.fetches();
    assert.ok(first !== undefined && second !== undefined);
    play.now = 100;
    play.scheduler.laneEnded(first.lane, { kind: 'unavailable', retryAfter: 2000 }, 100);
    play.decide();
    play.now = 200;
    play.scheduler.laneEnded(second.lane, { kind: 'unavailable', retryAfter: 20_000 }, 200);
    play.decide();
    assert.deepEqual(play.fetches(10_000), []);
    assert.ok(play.scheduler.wakeAt >= 20_200);
    play.now = play.scheduler.wakeAt;
    assert.ok(play.fetches().length > 0);
  });

  it('gives up a lane that is silent, but not while the client itself does not read', () => {
    const play = new Play(8, [1], { mostConnections: 1 });
    const { lane } = one(play.fetches());
    play.scheduler.headArrived(lane, 10);
    play.scheduler.progress(lane, 1000, 20);
    play.scheduler.hold(lane, true, 30);
    for (play.now = 50; play.now < 60_000; play.now += 500) {
      assert.ok(!play.decide().some(({ type }) => type === 'cancel'));
    }
    play.scheduler.hold(lane, false, play.now);
    assert.ok(!play.decide().some(({ type }) => type === 'cancel'));
    const from = play.now;
    while (!play.decide(100).some(({ type }) => type === 'cancel')) assert.ok(play.now < from + 10_000);
    assert.ok(play.now >= from + 1500);
  });

  it('finds out silence also where holds come and go', () => {
    const play = new Play(8, [1], { mostConnections: 1 });
    const { lane } = one(play.fetches());
    play.scheduler.headArrived(lane, 10);
    play.scheduler.progress(lane, 1000, 20);
    let cancelled = false;
    for (play.now = 20; play.now < 60_000 && !cancelled;) {
      play.scheduler.hold(lane, true, (play.now += 10));
      play.scheduler.hold(lane, false, (play.now += 10));
      cancelled = play.decide().some(({ type }) => type === 'cancel');
    }
    assert.ok(cancelled);
  });

  it('fetches reopened chunks from others, and by the last word on whom to leave out', () => {
    const play = new Play(1, [1, 2]);
    const first = one(play.fetches());
    const other = first.source === 1 ? 2 : 1;
    play.bringAll(first);
    play.scheduler.reopen([0], first.source, play.now);
    assert.equal(play.scheduler.finished, false);
    const second = one(play.fetches());
    assert.equal(second.source, other);
    play.bringAll(second);
    play.scheduler.reopen([0], other, play.now);
    assert.equal(one(play.fetches()).source, first.source);
    assert.equal(play.scheduler.wastedBytes, 2 * MIB);
  });

  it('takes over the far end of a span, never a chunk that has begun', () => {
    const play = new Play(40, [1], { mostConnections: 1 });
    for (let round = 0; round < 3; round++) play.bringAll(one(play.fetches()), MIB / 200);
    const long = one(play.fetches());
    assert.ok(long.to - long.from > 2);
    play.scheduler.setLimit(long.to);
    play.scheduler.headArrived(long.lane, play.now);
    play.scheduler.progress(long.lane, 1000, (play.now += 10));
    play.scheduler.addSource(2, play.now);
    const actions = play.decide(500);
    const cut = actions.find((action) => action.type === 'shorten');
    assert.ok(cut?.type === 'shorten' && cut.to > long.from);
    const taken = of(
      actions.filter((action) => action.type === 'fetch'),
      2,
    );
    assert.deepEqual([taken.from, taken.to], [cut.to, long.to]);
  });

  it('is told of a source once', () => {
    const play = new Play(1, [1]);
    assert.throws(() => play.scheduler.addSource(1, 0));
  });
});

describe('a source that is withdrawn', () => {
  it('ends what it sends, is asked nothing new, and is asked at once when it is recalled', () => {
    const play = new Play(64, [1]);
    const first = one(play.fetches());
    play.scheduler.withdraw(1, false, play.now);
    assert.deepEqual(
      play.decide().map(({ type }) => type),
      ['source'],
    );
    assert.equal(lastSaidOf(play.said, 1).state, 'waiting');
    play.bringAll(first);
    assert.deepEqual(play.fetches(600_000), []);
    assert.equal(play.scheduler.wakeAt, Infinity);
    play.scheduler.recall(1, play.now);
    assert.equal(one(play.fetches()).from, 1);
    assert.equal(lastSaidOf(play.said, 1).state, 'running');
  });

  it('is cut off where it is gone, and others fetch what it owed', () => {
    const play = new Play(2, [1, 2]);
    const fetches = play.fetches();
    const { lane } = of(fetches, 1);
    play.scheduler.withdraw(1, true, play.now);
    assert.ok(play.decide().some((action) => action.type === 'cancel' && action.lane === lane));
    play.scheduler.laneEnded(lane, undefined, play.now);
    play.bringAll(of(fetches, 2));
    assert.equal(one(play.fetches()).from, 0);
    assert.equal(play.scheduler.views(play.now)[0]?.failures, 0);
  });

  it('stays so whatever happens to what it still sends, and whatever its Retry-After says', () => {
    const play = new Play(4, [1]);
    const { lane } = one(play.fetches());
    play.scheduler.withdraw(1, false, play.now);
    play.scheduler.laneEnded(lane, { kind: 'unavailable', retryAfter: 100 }, play.now);
    assert.deepEqual(play.fetches(60_000), []);
    play.scheduler.retry(1, play.now);
    assert.deepEqual(play.fetches(60_000), []);
    play.scheduler.recall(1, play.now);
    assert.equal(play.fetches().length, 1);
  });

  it('is asked again after a ban too, when it is recalled', () => {
    const play = new Play(4, [1]);
    const { lane } = one(play.fetches());
    play.scheduler.laneEnded(lane, { kind: 'not-found' }, play.now);
    play.scheduler.withdraw(1, true, play.now);
    assert.deepEqual(play.fetches(60_000), []);
    assert.equal(lastSaidOf(play.said, 1).state, 'banned');
    play.scheduler.recall(1, play.now);
    assert.equal(play.fetches().length, 1);
  });
});

describe('a source that waits for something', () => {
  it('is asked at once when it has come', () => {
    const play = new Play(4, [1]);
    const { lane } = one(play.fetches());
    play.scheduler.laneEnded(lane, { kind: 'expired', retryAfter: 600_000 }, play.now);
    assert.deepEqual(play.fetches(10_000), []);
    play.scheduler.retry(1, play.now);
    assert.equal(play.fetches().length, 1);
  });

  it('is given up when it asks for it again and again', () => {
    const play = new Play(4, [1]);
    for (let times = 0; times < 4; times++) {
      const { lane } = one(play.fetches());
      play.scheduler.laneEnded(lane, { kind: 'expired', retryAfter: 600_000 }, play.now);
      play.scheduler.retry(1, play.now);
    }
    play.decide();
    assert.equal(lastSaidOf(play.said, 1).state, 'banned');
  });
});

describe('a source that does not hold what it was asked for', () => {
  it('is asked at once for one chunk, and for others once it is known which it lacks', () => {
    const play = new Play(64, [1]);
    play.bringAll(one(play.fetches()), MIB / 20);
    const wide = one(play.fetches());
    assert.ok(wide.to - wide.from > 1);
    play.scheduler.laneEnded(wide.lane, { kind: 'not-here' }, play.now);
    const narrow = one(play.fetches());
    assert.deepEqual([narrow.from, narrow.to], [1, 2]);
    play.scheduler.setHas(1, holding(64, [0, 5, 6, 7]), play.now);
    play.scheduler.laneEnded(narrow.lane, { kind: 'not-here' }, play.now);
    assert.equal(one(play.fetches()).from, 5);
  });

  it('does not begin the end when it has given all that it holds', () => {
    const play = new Play(8, [1]);
    play.scheduler.setHas(1, holding(8, [0]), play.now);
    play.bringAll(one(play.fetches()));
    play.decide();
    assert.equal(play.scheduler.tailFrom, undefined);
  });
});
