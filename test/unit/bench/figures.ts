import { GIB, type BarResult, type BenchResult, type Sample } from '../../../bench/results.ts';
import { sumUp } from '../../../bench/judge.ts';
import type { Contestant } from '../../../bench/scene.ts';

/** A run of 1 GiB. */
export function sample(round: number, seconds: number, more: Partial<Sample> = {}): Sample {
  return { round, seconds, cpu: seconds, memory: 1e6 * round, bytes: GIB, ...more };
}

export function contestant(id: string, more: Partial<Contestant> = {}): Contestant {
  return {
    id,
    label: id,
    command: id,
    ours: id.startsWith('ours'),
    rows: ['plain'],
    run: (round) => Promise.resolve(sample(round, 1)),
    ...more,
  };
}

export function bar(more: Partial<BarResult> = {}): BarResult {
  return {
    row: 'plain',
    work: 'some work',
    text: 'speed of a rival',
    demand: 'least',
    bound: 1,
    unit: 'x',
    value: 1.234,
    spread: { low: 1.1, high: 1.3 },
    reached: true,
    aside: false,
    ...more,
  };
}

/** A run of the benchmark with one scene of the chart. */
export function benchResult(): BenchResult {
  const contestants = [
    sumUp(contestant('ours-plain', { label: 'ours <&>' }), [sample(1, 1), sample(2, 1.5)]),
    sumUp(contestant('lftp'), [sample(1, 4), sample(2, 4)]),
    sumUp(contestant('axel'), [sample(1, 9, { failed: 'exit status 1' })]),
  ];
  return {
    version: 1,
    date: '2026-01-02T03:04:05.000Z',
    commit: 'abc',
    quick: false,
    rounds: 2,
    seconds: 60,
    machine: {
      cores: 2,
      processor: 'a processor',
      memory: 8 * GIB,
      kernel: '6.1.0',
      system: 'a system',
      congestionControl: 'cubic',
      load: 0.1,
      node: '24.0.0',
      programs: { curl: '7.88.1' },
    },
    scenes: [{ id: 'loopback', title: 'A scene', facts: {}, notes: [], contestants, bars: [bar()] }],
    leftOut: [],
  };
}
