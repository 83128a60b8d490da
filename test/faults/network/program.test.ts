import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import type { DownloadReport } from '../../../src/client/types.ts';
import { MIB } from '../../../src/core/chunks.ts';
import { type Ended, headwater, Running } from '../../integration/program.ts';
import { HONEST, refusingUrl, type Script } from '../fault-server.ts';
import { Lab, slow, until } from './lab.ts';

const LIE = { does: 'lie' } as const;
const OTHER = { does: 'hold another size', size: 5 * MIB } as const;

/** `headwater get` from all servers of the lab. */
function get(lab: Lab, ...args: string[]): Promise<Ended> {
  return headwater(['get', ...lab.urls.map(({ href }) => href), '-o', lab.output, ...args]);
}

function refused(status: number): Script {
  return { does: 'refuse', status };
}

interface Ending {
  readonly name: string;
  readonly servers: readonly Script[];
  readonly args?: (lab: Lab) => readonly string[];
  readonly status: number;
  readonly code: string;
}

const ENDINGS: readonly Ending[] = [
  { name: 'the file is nowhere', servers: [refused(404), refused(410)], status: 3, code: 'HW_NOT_FOUND' },
  {
    name: 'every source lies, by a manifest',
    servers: [LIE, LIE],
    args: (lab) => ['--manifest', join(lab.folder, 'm.json')],
    status: 4,
    code: 'HW_VERIFICATION',
  },
  {
    name: 'every source lies, by a digest',
    servers: [LIE, LIE],
    args: (lab) => ['--sha256', lab.sha256],
    status: 4,
    code: 'HW_VERIFICATION',
  },
  { name: 'sources disagree', servers: [HONEST, OTHER], status: 4, code: 'HW_SOURCES_DISAGREE' },
  {
    name: 'the file changes on every source',
    servers: [{ does: 'change the ETag' }],
    status: 4,
    code: 'HW_SOURCE_CHANGED',
  },
  {
    name: 'nobody answers for the time allowed',
    servers: [{ does: 'reset at once' }, refused(503)],
    args: () => ['--timeout', '1s'],
    status: 6,
    code: 'HW_SOURCES_LOST',
  },
  {
    name: 'the only source speaks no HTTP',
    servers: [{ does: 'send a status line', line: 'HELO' }],
    status: 6,
    code: 'HW_PROTOCOL',
  },
  { name: 'access is refused', servers: [refused(401), refused(403)], status: 7, code: 'HW_NOT_ALLOWED' },
];

describe('headwater get ends', { concurrency: 2 }, () => {
  for (const { name, servers, args, status, code } of ENDINGS) {
    test(`with ${status} when ${name}`, async () => {
      await using lab = await Lab.of(servers);
      await lab.write('m.json', JSON.stringify(lab.manifest));
      const ended = await get(lab, '--json', ...(args?.(lab) ?? []));
      assert.equal(ended.status, status, ended.stderr);
      assert.match(ended.stderr, new RegExp(`^headwater: .*\\(${code}\\)$`, 'm'));
      const last: unknown = JSON.parse(ended.stdout.trimEnd().split('\n').at(-1) ?? '');
      assert.ok(typeof last === 'object' && last !== null && 'code' in last && last.code === code);
      assert.ok(!lab.left.includes('out.bin'));
    });
  }

  test('with 0 and a report of who did what when others make up for a liar, a refusal and a reset', async () => {
    const resets: Script = ({ number }) =>
      number === 2 ? { does: 'reset', after: 200_000 } : { ...HONEST, bytesPerSecond: 4 * MIB };
    await using lab = await Lab.of([slow(4 * MIB), LIE, refused(403), resets], { size: 8 * MIB });
    await lab.write('m.json', JSON.stringify(lab.manifest));
    const path = join(lab.folder, 'report.json');
    const gone = (await refusingUrl()).href;
    const ended = await get(lab, gone, '--manifest', join(lab.folder, 'm.json'), '--report', path);
    assert.equal(ended.status, 0, ended.stderr);
    lab.is('out.bin');
    const report = JSON.parse(readFileSync(path, 'utf8')) as DownloadReport;
    assert.equal(report.verified, 'chunks');
    assert.equal(report.size, lab.size);
    const [honest, liar, refusing, resetting, missing] = report.sources;
    assert.ok(honest !== undefined && honest.bytes > 0 && honest.failures === 0 && honest.rate > 0);
    assert.equal(liar?.ban?.code, 'HW_BAD_CHUNK');
    assert.ok(liar.badChunks > 0 && liar.bytes === 0);
    assert.equal(refusing?.ban?.code, 'HW_NOT_ALLOWED');
    assert.ok(resetting !== undefined && resetting.failures === 1 && resetting.ban === undefined);
    assert.deepEqual([missing?.bytes, missing?.connections], [0, 0]);
    assert.ok(missing !== undefined && missing.failures > 0 && refusing?.failures === 1);
    assert.ok(report.wastedBytes >= MIB);
    assert.ok(report.tailSeconds >= 0 && report.tailSeconds <= report.seconds);
    const share = report.sources.reduce((sum, source) => sum + source.share, 0);
    assert.ok(Math.abs(share - 1) < 1e-9);
    assert.match(ended.stdout, /Every chunk matched its digest\./);
    assert.match(ended.stdout, /source 2 was dropped: .*sent wrong bytes.*\(\d wrong chunks?\)/);
  });

  test('with 0 from a server that answers no ranges and does not say how much there is', async () => {
    await using lab = await Lab.of([]);
    await lab.add({
      does: 'send raw',
      bytes: Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), lab.bytes]),
      ending: 'close',
    });
    const ended = await get(lab);
    assert.equal(ended.status, 0, ended.stderr);
    lab.hasTheFile();
    assert.match(ended.stdout, /out\.bin: nobody says how much from 1 source/);
    assert.match(ended.stdout, /out\.bin: 4 MiB in /);
  });

  test('with 0 when the server that it waits for comes up', async () => {
    await using lab = await Lab.of([HONEST]);
    await lab.server(1).leave();
    const args = ['get', lab.server(1).url.href, '-o', lab.output, '--timeout', 'never'];
    const running = new Running(args);
    let said = '';
    running.process.stdout.on('data', (piece: Buffer) => (said += piece.toString()));
    await until(() => said.includes('waiting until one answers'), 'it says that it waits', 20_000);
    await lab.server(1).comeBack();
    const ended = await running.ended;
    assert.equal(ended.status, 0, ended.stderr);
    lab.hasTheFile();
    assert.match(ended.stdout, /nothing was verified/);
  });
});
