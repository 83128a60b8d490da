import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { MIB } from '../../../src/core/chunks.ts';
import { MANIFEST_TYPE, type Manifest } from '../../../src/core/manifest.ts';
import { HONEST, madeUpContent, type Misbehaviour, type Script } from '../fault-server.ts';
import { bans, failure, Lab, manifestOf, of, slow } from './lab.ts';

/** Serves these bytes and offers a manifest of them, which is answered as `desk` says. */
function offering(bytes: Uint8Array, desk: Misbehaviour, bytesPerSecond?: number): Script {
  return ({ target, range }) => {
    if (target.endsWith('?manifest')) return desk;
    const { from, to } = range ?? { from: 0, to: bytes.length };
    return {
      does: 'send',
      status: 206,
      headers: {
        'Content-Range': `bytes ${from}-${to - 1}/${bytes.length}`,
        Link: `<?manifest>; rel="describedby"; type="${MANIFEST_TYPE}"`,
      },
      body: bytes.subarray(from, to),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    };
  };
}

function desk(manifest: Manifest | string): Misbehaviour {
  const body = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
  return { does: 'send', status: 200, body };
}

describe('a manifest that a source offers', { concurrency: 8 }, () => {
  test('verifies every chunk, and finds the mirror that sends a wrong one', async () => {
    await using lab = await Lab.of([]);
    await lab.add(offering(lab.bytes, desk(lab.manifest), 2 * MIB));
    await lab.add({ does: 'lie', from: 0, bytesPerSecond: 2 * MIB });
    const report = await lab.get();
    lab.hasTheFile();
    assert.equal(report.verified, 'chunks');
    assert.equal(report.sha256, lab.sha256);
    assert.equal(of(report, 2).bytes, 0);
    assert.equal(Object.keys(bans(report)).join(), '2');
  });

  test('is read once, over the connection that is open already', async () => {
    await using lab = await Lab.of([]);
    const server = await lab.add(offering(lab.bytes, desk(lab.manifest)));
    await lab.get({ connections: 1 });
    lab.hasTheFile();
    assert.equal(server.counters.seen.filter(({ target }) => target.endsWith('?manifest')).length, 1);
    assert.equal(server.counters.connections, 1);
  });

  test('is followed where it leads', async () => {
    await using lab = await Lab.of([]);
    const shelf = await lab.add(desk(lab.manifest));
    const server = await lab.add(offering(lab.bytes, { does: 'redirect', to: shelf.url.href }));
    const report = await lab.get({}, [server.url]);
    lab.hasTheFile();
    assert.equal(report.verified, 'chunks');
  });

  const broken: readonly [name: string, desk: Misbehaviour][] = [
    ['is not there', { does: 'refuse', status: 404 }],
    ['is no JSON', desk('<html>')],
    ['is of another file', desk(manifestOf(madeUpContent(9, 5 * MIB).read(0, 5 * MIB)))],
    [
      'is cut off',
      { does: 'send raw', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{', ending: 'close' },
    ],
    ['is compressed', { does: 'compress' }],
  ];
  for (const [name, answer] of broken) {
    test(`and that ${name} is done without, and it is said`, async () => {
      await using lab = await Lab.of([]);
      await lab.add(offering(lab.bytes, answer));
      const report = await lab.get();
      lab.hasTheFile();
      assert.equal(report.verified, 'none');
      assert.deepEqual(bans(report), {});
      assert.ok(lab.notices.some((notice) => /^the manifest that .* offers (cannot be|is)/.test(notice)));
    });
  }

  test('and never sends is given up in seconds', async () => {
    await using lab = await Lab.of([HONEST]);
    const server = await lab.add(offering(lab.bytes, { does: 'fall silent' }));
    const report = await lab.get({}, [server.url, lab.server(1).url]);
    lab.hasTheFile();
    assert.ok(report.seconds < 6, `${report.seconds} s`);
  });

  test('and that one of two cannot send is taken from the other', async () => {
    await using lab = await Lab.of([]);
    await lab.add(offering(lab.bytes, { does: 'refuse', status: 500 }));
    await lab.add(offering(lab.bytes, desk(lab.manifest)));
    const report = await lab.get();
    lab.hasTheFile();
    assert.equal(report.verified, 'chunks');
  });

  test('by one source alone does not outweigh what most send', async () => {
    await using lab = await Lab.of([]);
    const other = madeUpContent(9, lab.size).read(0, lab.size);
    await lab.add(offering(other, desk(manifestOf(other)), 4 * MIB));
    await lab.add(slow(4 * MIB));
    await lab.add(slow(4 * MIB));
    const report = await lab.get();
    lab.hasTheFile();
    assert.deepEqual(bans(report), { 1: 'HW_SOURCES_DISAGREE' });
    assert.equal(report.verified, 'none');
  });

  test('does not replace the digest that the caller knows', async () => {
    await using lab = await Lab.of([]);
    const other = madeUpContent(9, lab.size).read(0, lab.size);
    await lab.add(offering(other, desk({ ...manifestOf(other), sha256: lab.sha256 })));
    const error = await failure(lab.get({ sha256: lab.sha256 }));
    assert.equal(error.code, 'HW_VERIFICATION');
  });
});
