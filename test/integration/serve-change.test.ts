import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { open as openFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { parseManifest } from '../../src/core/manifest.ts';
import { open, Served, until } from './serve-lab.ts';

const SIZE = 48 * MIB;

function tag(bytes: Uint8Array): string {
  return `"${createHash('sha256').update(bytes).digest('hex')}"`;
}

/** The body up to where it broke off; `whole` when it did not. */
async function drain(response: IncomingMessage): Promise<{ bytes: Buffer; whole: boolean }> {
  const parts: Buffer[] = [];
  try {
    for await (const part of response) parts.push(part as Buffer);
    return { bytes: Buffer.concat(parts), whole: response.complete };
  } catch {
    return { bytes: Buffer.concat(parts), whole: false };
  }
}

/** Asks for a large file and reads nothing yet, so that most of it is still in the file. */
async function begin(served: Served): Promise<IncomingMessage> {
  const response = await open(served.url, '/file');
  response.pause();
  assert.equal(response.statusCode, 200);
  return response;
}

async function newTag(served: Served, expected: string): Promise<void> {
  await until(async () => (await served.ask('/file', {}, { method: 'HEAD' })).status === 200);
  const { headers, body } = await served.ask('/file');
  assert.equal(headers.etag, expected);
  assert.equal(tag(body), expected);
  const manifest = parseManifest((await served.ask('/file?manifest')).body.toString(), 'the server');
  assert.equal(`"${manifest.sha256}"`, expected);
}

describe('a file that changes while it is sent', () => {
  for (const [how, change] of [
    [
      'is written in place',
      async (path: string) => {
        const file = await openFile(path, 'r+');
        await file.write(Buffer.alloc(1000, 'x'), 0, 1000, SIZE - 2000);
        await file.close();
      },
    ],
    [
      'is written in place, its time put back',
      async (path: string) => {
        const { atime, mtime } = await stat(path);
        const file = await openFile(path, 'r+');
        await file.write(Buffer.alloc(1000, 'x'), 0, 1000, SIZE - 2000);
        await file.close();
        await utimes(path, atime, mtime);
      },
    ],
    ['is cut short', (path: string) => truncate(path, SIZE - 5)],
    ['is written anew', (path: string) => writeFile(path, randomBytes(SIZE))],
  ] as const) {
    test(`(${how}) is cut off, hashed again and has another tag`, async () => {
      const before = randomBytes(SIZE);
      await using served = await Served.of({ file: before });
      const response = await begin(served);
      await change(served.files.path('file'));
      const { bytes, whole } = await drain(response);
      assert.equal(whole, false);
      assert.ok(bytes.length < SIZE);
      assert.ok(bytes.equals(before.subarray(0, bytes.length)), 'a byte of the changed file was sent');
      const { readFile } = await import('node:fs/promises');
      await newTag(served, tag(await readFile(served.files.path('file'))));
    });
  }

  test('by another that takes its name is sent to its end as it was', async () => {
    const before = randomBytes(SIZE);
    const after = randomBytes(1000);
    await using served = await Served.of({ file: before });
    const response = await begin(served);
    await served.files.write('.new', after);
    await rename(served.files.path('.new'), served.files.path('file'));
    const { bytes, whole } = await drain(response);
    // Whoever holds the old one may finish it, unless the system says that it changed when it lost its name.
    assert.ok(bytes.equals(before.subarray(0, bytes.length)));
    assert.ok(whole ? bytes.length === SIZE : bytes.length < SIZE);
    await newTag(served, tag(after));
  });

  test('is noticed by the next request even if nothing was sent', async () => {
    const before = Buffer.from('before');
    await using served = await Served.of({ file: before });
    assert.equal((await served.ask('/file')).headers.etag, tag(before));
    await served.files.write('file', 'after!');
    const old = await served.ask('/file', { Range: 'bytes=0-1', 'If-Match': tag(before) });
    assert.ok(old.status === 412 || old.status === 503, `${old.status}`);
    await newTag(served, tag(Buffer.from('after!')));
  });

  test('by going away is not found any more', async () => {
    await using served = await Served.of({ file: 'x' });
    await rm(served.files.path('file'));
    assert.equal((await served.ask('/file')).status, 404);
  });

  test('is served although it was not there at the start', async () => {
    await using served = await Served.of({ file: 'x' });
    await served.files.write('later', 'later');
    await until(async () => (await served.ask('/later')).status === 200);
  });

  test('all the time is never sent under a tag that is not its own', async () => {
    await using served = await Served.of({ file: randomBytes(100_000) });
    const path = served.files.path('file');
    const stop = new AbortController();
    const writing = (async () => {
      while (!stop.signal.aborted) {
        const file = await openFile(path, 'r+');
        await file.write(randomBytes(100_000), 0, 100_000, 0);
        await file.close();
        await new Promise((resolve) => {
          setTimeout(resolve, 130);
        });
      }
    })();
    let right = 0;
    for (let turn = 0; turn < 60; turn++) {
      const response = await open(served.url, '/file');
      const { bytes, whole } = await drain(response);
      if (response.statusCode === 200 && whole) {
        assert.equal(tag(bytes), response.headers.etag);
        right++;
      } else if (response.statusCode === 503) {
        assert.ok(Number(response.headers['retry-after']) >= 1);
      }
    }
    stop.abort();
    await writing;
    assert.ok(right > 0);
    await until(async () => (await served.ask('/file')).status === 200);
  });
});
