import { judge, sumUp } from './judge.ts';
import { GIB, type Sample, type SceneResult } from './results.ts';
import type { BenchContext, Contestant, Scene } from './scene.ts';

/**
 * Runs a scene's contestants in turn, round after round. Each round begins with another one, so that what disturbs
 * the machine for a while, or what a run leaves behind, falls on all alike.
 */
export async function runScene(scene: Scene, context: BenchContext): Promise<SceneResult> {
  context.say(scene.title);
  await using open = await scene.open(context);
  const wanted = scene.rows.filter((row) => context.rows.has(row));
  const contestants = open.contestants.filter((each) => each.rows.some((row) => wanted.includes(row)));
  const samples = new Map<string, Sample[]>(contestants.map((each) => [each.id, []]));
  for (let round = 1; round <= context.rounds; round++) {
    for (const contestant of rotated(contestants, round - 1)) {
      if (round > (contestant.mostRounds ?? context.rounds)) continue;
      context.signal.throwIfAborted();
      const sample = await contestant.run(round);
      samples.get(contestant.id)?.push(sample);
      context.say(describe(contestant, sample, context.rounds));
    }
  }
  const results = contestants.map((each) => sumUp(each, samples.get(each.id) ?? []));
  return {
    id: scene.id,
    title: scene.title,
    facts: open.facts,
    notes: open.notes,
    contestants: results,
    bars: open.bars.filter((bar) => wanted.includes(bar.row)).map((bar) => judge(bar, results)),
  };
}

/** The same list, begun `by` places further on. */
export function rotated<T>(list: readonly T[], by: number): T[] {
  const from = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(from), ...list.slice(0, from)];
}

function describe(contestant: Contestant, sample: Sample, rounds: number): string {
  const head = `  ${sample.round}/${rounds} ${contestant.label.padEnd(44)}`;
  if (sample.failed !== undefined) return `${head} failed: ${sample.failed}`;
  if (sample.requests !== undefined) {
    const p99 = sample.p99 === undefined ? '' : `  p99 ${sample.p99.toFixed(1)} ms`;
    return `${head} ${(sample.requests / sample.seconds).toFixed(0)}/s${p99}  CPU ${sample.cpu.toFixed(2)} s`;
  }
  const rate = sample.bytes / GIB / sample.seconds;
  return `${head} ${sample.seconds.toFixed(2)} s  ${rate.toFixed(2)} GiB/s  CPU ${sample.cpu.toFixed(2)} s`;
}
