import assert from 'node:assert/strict';
import { test } from 'node:test';

import { chart } from '../../../bench/chart.ts';
import { benchResult } from './figures.ts';

test('bars are as long as their seconds, from one zero', () => {
  const bars = [...chart(benchResult()).matchAll(/<rect class="bar[^"]*" x="(\d+)" .*? width="([\d.]+)"/g)];
  const [ours, lftp] = bars.map((match) => Number(match[2]));
  assert.equal(bars.length, 2);
  assert.equal(bars[0]?.[1], bars[1]?.[1]);
  assert.ok(Math.abs((ours ?? 0) / (lftp ?? 1) - 1.25 / 4) < 0.001);
});

test('whoever never finished has a word in place of a bar', () => {
  assert.match(chart(benchResult()), />axel<\/text>\n<text [^>]*>failed<\/text>/);
});

test('labels cannot break the picture', () => {
  const svg = chart(benchResult());
  assert.ok(svg.includes('ours &lt;&amp;&gt;'));
  assert.ok(!svg.includes('ours <&>'));
});

test('there are colours for light and for dark', () => {
  assert.match(chart(benchResult()), /prefers-color-scheme: dark/);
});

test('panels without a figure are not drawn', () => {
  assert.ok(!chart(benchResult()).includes('25 Mbit/s'));
});
