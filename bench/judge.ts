import type { BarResult, ContestantResult, Figures, Sample } from './results.ts';
import type { Bar, Contestant } from './scene.ts';
import { median, spread } from './statistics.ts';

/** Sums up a contestant's runs. */
export function sumUp(contestant: Contestant, samples: readonly Sample[]): ContestantResult {
  const { id, label, command, ours } = contestant;
  const finished = samples.filter((each) => each.failed === undefined);
  return {
    id,
    label,
    command,
    ours,
    samples,
    median: medians(finished),
    seconds: spread(finished.map((each) => each.seconds)),
    failures: samples.length - finished.length,
  };
}

function medians(samples: readonly Sample[]): Figures {
  const requests = samples.flatMap((each) => each.requests ?? []);
  const p99 = samples.flatMap((each) => each.p99 ?? []);
  return {
    ...(requests.length > 0 && { requests: median(requests) }),
    ...(p99.length > 0 && { p99: median(p99) }),
    seconds: median(samples.map((each) => each.seconds)),
    cpu: median(samples.map((each) => each.cpu)),
    memory: spread(samples.map((each) => each.memory)).high,
    bytes: median(samples.map((each) => each.bytes)),
  };
}

/**
 * Holds a bar against what was measured: the medians decide, the rounds give the spread. A run of ours that did not
 * finish misses the bar whatever the others took.
 */
export function judge(bar: Bar, results: readonly ContestantResult[]): BarResult {
  const { row, work, text, demand, bound, unit, aside = false } = bar;
  const asked = new Set<string>();
  const find = (id: string): ContestantResult => {
    const result = results.find((each) => each.id === id);
    if (result === undefined) throw new Error(`the bar "${text}" asks for ${id}, which did not run`);
    asked.add(id);
    return result;
  };
  const value = bar.value((id) => find(id).median);
  const rounds = sharedRounds(results.filter((each) => asked.has(each.id)));
  const each = rounds.map((samples) => bar.value((id) => samples.get(id) ?? find(id).median));
  const failed = results.some((each) => each.ours && asked.has(each.id) && each.failures > 0);
  const reached = !failed && (demand === 'least' ? value >= bound : value <= bound);
  return { row, work, text, demand, bound, unit, value, spread: spread(each), reached, aside };
}

/** The rounds in which every one of `results` finished. */
function sharedRounds(results: readonly ContestantResult[]): Map<string, Figures>[] {
  const rounds = new Map<number, Map<string, Figures>>();
  for (const { id, samples } of results) {
    for (const sample of samples) {
      if (sample.failed !== undefined) continue;
      const round = rounds.get(sample.round) ?? new Map<string, Figures>();
      rounds.set(sample.round, round.set(id, sample));
    }
  }
  return [...rounds.values()].filter((round) => round.size === results.length);
}
