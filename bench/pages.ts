import type { BenchResult } from './results.ts';
import {
  BAR_HEAD,
  BAR_RIGHT,
  CONTESTANT_HEAD,
  CONTESTANT_RIGHT,
  barRows,
  contestantRows,
  markdownTable,
} from './table.ts';

const START = '<!-- bench:start -->';
const END = '<!-- bench:end -->';

/**
 * Puts `section` between the two marks of a page.
 *
 * @returns the new page, or undefined where the page has no marks.
 */
export function filled(page: string, section: string): string | undefined {
  const start = page.indexOf(START);
  const end = page.indexOf(END, start);
  if (start < 0 || end < 0) return undefined;
  return `${page.slice(0, start + START.length)}\n\n${section.trim()}\n\n${page.slice(end)}`;
}

/** For the README: who takes how long for 1 GiB, then every bar. */
export function readmeSection(result: BenchResult): string {
  const scenes = result.scenes.filter(({ id }) => id === 'loopback' || id === 'four-hosts');
  const bars = result.scenes.flatMap((scene) => scene.bars).filter((bar) => !bar.aside);
  return [
    '![Seconds that headwater and other programs take for the same downloads](docs/benchmark.svg)',
    ...scenes.map(
      (scene) =>
        `${scene.title}:\n\n${markdownTable(CONTESTANT_HEAD, contestantRows(scene), CONTESTANT_RIGHT)}`,
    ),
    'What was to be reached, and what was:',
    markdownTable(BAR_HEAD, barRows(bars), BAR_RIGHT),
    conditions(result),
  ].join('\n\n');
}

/** For docs/benchmark.md: every program of every scene with its command, every bar, every figure measured beside. */
export function fullSection(result: BenchResult): string {
  const bars = result.scenes.flatMap((scene) => scene.bars);
  const scenes = result.scenes.map((scene) =>
    [
      `### ${scene.title}`,
      markdownTable(CONTESTANT_HEAD, contestantRows(scene), CONTESTANT_RIGHT),
      scene.notes.join(' '),
      factLine(scene.facts),
      scene.contestants.map(({ label, command }) => `- ${label}: \`${command}\``).join('\n'),
    ]
      .filter((part) => part !== '')
      .join('\n\n'),
  );
  return [conditions(result), markdownTable(BAR_HEAD, barRows(bars), BAR_RIGHT), ...scenes].join('\n\n');
}

function factLine(facts: Readonly<Record<string, number>>): string {
  const texts = Object.entries(facts)
    .filter(([name]) => name !== 'bytes')
    .map(([name, value]) => `${name} ${Number.isInteger(value) ? value : value.toPrecision(4)}`);
  return texts.length === 0 ? '' : `Measured or computed beforehand: ${texts.join(', ')}.`;
}

function conditions({ machine, rounds, date, commit, leftOut }: BenchResult): string {
  const programs = Object.entries(machine.programs).map(([name, version]) => `${name} ${version}`);
  const gibibytes = Math.round(machine.memory / 1024 ** 3);
  const parts = [
    `Medians of ${rounds} interleaved rounds, with the lowest and the highest; fewer where "runs" says so`,
    `${machine.cores} cores (${machine.processor}), ${gibibytes} GiB, Linux ${machine.kernel}, ${machine.system}, TCP ${machine.congestionControl}, load ${machine.load.toFixed(1)} before the run`,
    `Node ${machine.node}, ${programs.join(', ')}`,
    `${date.slice(0, 10)}, commit ${commit}`,
    ...leftOut.map(({ row, why }) => `without the row "${row}" (${why})`),
  ];
  return `${parts.join('. ')}.`;
}
