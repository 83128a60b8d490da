import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { open, Served } from './serve-lab.ts';

const RATE = 4 * MIB;
const SIZE = 32 * MIB;

/** Reads for that long; gives the bytes of each tenth of a second. */
async function taste(served: Served, milliseconds: number): Promise<number[]> {
  const response = await open(served.url, '/file');
  const begun = performance.now();
  const tenths = Array.from({ length: Math.ceil(milliseconds / 100) }, () => 0);
  for await (const part of response) {
    const tenth = Math.floor((performance.now() - begun) / 100);
    if (tenth >= tenths.length) break;
    tenths[tenth] = (tenths[tenth] ?? 0) + (part as Buffer).length;
  }
  return tenths;
}

const sum = (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0);

describe('a limit', () => {
  test('is kept by all answers of a server together, and shared equally', async () => {
    await using served = await Served.of({ file: randomBytes(SIZE) }, { limit: RATE });
    const begun = performance.now();
    const all = await Promise.all(Array.from({ length: 4 }, () => taste(served, 1500)));
    const allowed = ((performance.now() - begun) / 1000) * RATE;
    const bytes = all.map(sum);
    assert.ok(sum(bytes) <= allowed * 1.05 + 0.1 * MIB, `${sum(bytes)} of ${allowed}`);
    assert.ok(sum(bytes) >= allowed * 0.7, `${sum(bytes)} of ${allowed}`);
    assert.ok(Math.min(...bytes) >= Math.max(...bytes) * 0.8, bytes.join(' '));
  });

  test('sends smoothly, not in gushes', async () => {
    await using served = await Served.of({ file: randomBytes(SIZE) }, { limit: RATE });
    const tenths = (await taste(served, 1000)).slice(1, -1);
    assert.ok(Math.max(...tenths) <= RATE / 5, tenths.join(' '));
  });

  test('is for each server on its own', async () => {
    await using served = await Served.of({ file: randomBytes(SIZE) }, { limit: RATE, count: 2 });
    const other = Object.create(served, { url: { value: served.serving.servers[1]?.url } }) as Served;
    const begun = performance.now();
    const both = await Promise.all([taste(served, 1000), taste(other, 1000)]);
    const allowed = ((performance.now() - begun) / 1000) * RATE;
    for (const tenths of both) assert.ok(sum(tenths) >= allowed * 0.7, `${sum(tenths)} of ${allowed}`);
  });

  test('goes on after a pause with the same bytes', async () => {
    const content = randomBytes(MIB);
    await using served = await Served.of({ file: content }, { limit: RATE });
    const response = await open(served.url, '/file');
    const parts: Buffer[] = [];
    for await (const part of response) {
      parts.push(part as Buffer);
      served.server.pause();
      setTimeout(() => served.server.resume(), 5);
    }
    assert.ok(Buffer.concat(parts).equals(content));
  });
});
