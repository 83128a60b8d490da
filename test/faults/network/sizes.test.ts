import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';

import { MIB } from '../../../src/core/chunks.ts';
import { HONEST } from '../fault-server.ts';
import { Lab } from './lab.ts';

const SIZES = [0, 1, 2, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 17];

describe('a file of any size comes right', { concurrency: 16 }, () => {
  for (const size of SIZES) {
    test(`${size} bytes, by manifest`, async () => {
      await using lab = await Lab.of([HONEST, HONEST, HONEST], { size });
      const report = await lab.get({ manifest: lab.manifest });
      lab.hasTheFile();
      assert.equal(report.size, size);
      assert.equal(report.verified, 'chunks');
      assert.equal(
        report.sources.reduce((sum, { bytes }) => sum + bytes, 0),
        size,
      );
    });

    test(`${size} bytes, by the digest of the whole`, async () => {
      await using lab = await Lab.of([HONEST, HONEST], { size });
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.equal(report.verified, 'sha256');
      assert.equal(report.sha256, lab.sha256);
    });

    test(`${size} bytes, with nothing to verify`, async () => {
      await using lab = await Lab.of([HONEST, HONEST], { size });
      const report = await lab.get();
      lab.hasTheFile();
      assert.equal(report.verified, 'none');
    });

    test(`${size} bytes, without ranges`, async () => {
      await using lab = await Lab.of([{ does: 'ignore ranges' }], { size });
      await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
    });

    test(`${size} bytes, into a stream`, async () => {
      await using lab = await Lab.of([HONEST, HONEST], { size });
      const output = new PassThrough();
      const received = output.toArray() as Promise<Buffer[]>;
      await lab.get({ output, sha256: lab.sha256 });
      output.end();
      assert.ok(Buffer.concat(await received).equals(lab.bytes));
      assert.deepEqual(lab.left, []);
    });
  }
});

describe('a file of any name', { concurrency: 16 }, () => {
  const NAMES = ['two words.bin', 'žluťoučký kůň.iso', '日本語.tar', '100% #1?.bin', 'a+b&c=d;e.bin'];
  for (const name of NAMES) {
    test(`is asked for and written as ${name}`, async () => {
      await using lab = await Lab.of([HONEST, HONEST], { size: MIB });
      const report = await lab.get(
        { output: `${lab.folder}/` },
        lab.servers.map((server) => server.urlOf(name)),
      );
      lab.hasTheFile(name);
      assert.ok(report.output.endsWith(name));
      assert.equal(lab.server(1).counters.seen[0]?.target, `/${encodeURIComponent(name)}`);
    });
  }

  test('that a server gives in Content-Disposition is used, but never as a path', async () => {
    await using lab = await Lab.of([], { size: 100 });
    await lab.add(({ range }) => {
      const { from, to } = range ?? { from: 0, to: 100 };
      return {
        does: 'send',
        status: 206,
        headers: {
          'Content-Range': `bytes ${from}-${to - 1}/100`,
          'Content-Disposition': `attachment; filename="x"; filename*=UTF-8''..%2F..%2Fk%C5%AF%C5%88.bin`,
        },
        body: lab.bytes.subarray(from, to),
      };
    });
    await lab.get({ output: `${lab.folder}/` });
    lab.hasTheFile('kůň.bin');
  });
});
