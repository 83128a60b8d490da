import type { BenchResult, ContestantResult, SceneResult } from './results.ts';

/** One group of bars under a title. */
interface Panel {
  readonly title: string;
  readonly contestants: readonly ContestantResult[];
}

const WIDTH = 790;
/** Where bars begin, and where the longest ends. */
const LEFT = 330;
const RIGHT = WIDTH - 76;
const ROW = 26;
const BAR = 16;
const TITLE = 44;
const MARGIN = 12;

/** Contestants that stand in a scene for other rows than the one a panel is about. */
const PANELS: readonly { readonly scene: string; readonly title: string; readonly ids: readonly string[] }[] =
  [
    {
      scene: 'loopback',
      title: '1 GiB from three local servers, verified: seconds',
      ids: ['ours-manifest', 'ours-sha256', 'aria2-checksum'],
    },
    {
      scene: 'loopback',
      title: 'the same, nothing to verify: seconds',
      ids: ['ours-plain', 'lftp', 'aria2', 'curl', 'axel'],
    },
    {
      scene: 'four-hosts',
      title: '256 MiB from hosts of 200, 100, 50 and 25 Mbit/s: seconds',
      ids: ['ours', 'aria2-tuned', 'axel', 'aria2'],
    },
    {
      scene: 'four-hosts',
      title: 'the same, the fastest host lost after 2 s: seconds',
      ids: ['ours-killed', 'aria2-killed', 'ours-unplugged', 'aria2-unplugged'],
    },
  ];

/**
 * The main figures as bars, shorter is better. Colours follow the reader's light or dark setting. The picture brings
 * its own ground, so that it can be read too where a page does not follow that setting.
 */
export function chart(result: BenchResult): string {
  const panels = PANELS.flatMap((plan): Panel[] => {
    const scene = result.scenes.find((each) => each.id === plan.scene);
    const contestants = scene === undefined ? [] : pick(scene, plan.ids);
    return contestants.length === 0 ? [] : [{ title: plan.title, contestants }];
  });
  let y = MARGIN;
  const parts = panels.map((panel) => {
    const part = draw(panel, y);
    y += TITLE + panel.contestants.length * ROW;
    return part;
  });
  const height = y + MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">
<title id="title">Seconds that headwater and other programs take for the same downloads; shorter is better</title>
<style>
.ground { fill: #ffffff; }
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #57606a; }
.title { font-weight: 600; fill: #24292f; }
.ours { font-weight: 600; }
.bar { fill: #8c959f; }
.bar.ours { fill: #0b7ea4; }
.spread { stroke: #24292f; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; }
  text { fill: #9ea7b1; }
  .title { fill: #f0f6fc; }
  .bar { fill: #6e7681; }
  .bar.ours { fill: #39b5d9; }
  .spread { stroke: #f0f6fc; }
}
</style>
<rect class="ground" width="${WIDTH}" height="${height}" rx="6"/>
${parts.join('\n')}
</svg>
`;
}

function pick(scene: SceneResult, ids: readonly string[]): ContestantResult[] {
  return ids.flatMap((id) => scene.contestants.find((each) => each.id === id) ?? []);
}

function draw({ title, contestants }: Panel, top: number): string {
  const longest = Math.max(...contestants.map((each) => each.seconds.high).filter(Number.isFinite));
  const x = (seconds: number): string => (LEFT + (seconds / longest) * (RIGHT - LEFT)).toFixed(1);
  const lines = contestants.map((each, index) => {
    const y = top + TITLE + index * ROW;
    const middle = y + BAR / 2;
    const kind = each.ours ? ' ours' : '';
    const label = `<text class="label${kind}" x="${LEFT - 10}" y="${middle + 4.5}" text-anchor="end">${escape(each.label)}</text>`;
    const { seconds } = each.median;
    if (!Number.isFinite(seconds)) return `${label}\n<text x="${LEFT}" y="${middle + 4.5}">failed</text>`;
    return `${label}
<rect class="bar${kind}" x="${LEFT}" y="${y}" width="${(Number(x(seconds)) - LEFT).toFixed(1)}" height="${BAR}" rx="2"/>
<line class="spread" x1="${x(each.seconds.low)}" x2="${x(each.seconds.high)}" y1="${middle}" y2="${middle}"/>
<text class="value${kind}" x="${Number(x(each.seconds.high)) + 8}" y="${middle + 4.5}">${seconds.toFixed(2)} s</text>`;
  });
  return `<text class="title" x="${MARGIN}" y="${top + TITLE - 14}">${escape(title)}</text>\n${lines.join('\n')}`;
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
