import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, truncate } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { MIB } from '../../src/core/chunks.ts';
import { serve } from '../../src/file-server/serve.ts';
import type { StatusEvent } from '../../src/file-server/serve-types.ts';
import { ask, Files, until } from './serve-lab.ts';

const HERE = { ports: [0], address: '127.0.0.1' };

describe('a file that is not hashed yet', () => {
  test('is answered with 503 and when to come again, and then with 200', async () => {
    await using files = await Files.of({ small: 'small' });
    // Nothing on the disk, and seconds to hash at the rate that is assumed at first.
    await files.write('large', '');
    await truncate(files.path('large'), 2048 * MIB);
    const statuses: StatusEvent[] = [];
    await using serving = await serve([files.folder], {
      ...HERE,
      cache: false,
      interval: 0.1,
      onEvent: (event) => {
        if (event.event === 'status') statuses.push(event);
      },
    });
    const url = serving.servers[0]?.url ?? '';
    for (const path of ['/large', '/large?manifest']) {
      const { status, headers, body } = await ask(url, path);
      assert.equal(status, 503);
      const wait = Number(headers['retry-after']);
      assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 60, headers['retry-after']);
      const error = JSON.parse(body.toString()) as { code: string; message: string; details: object };
      assert.equal(error.code, 'HW_UNAVAILABLE');
      assert.match(error.message, /digests of large are being computed/);
      assert.deepEqual(error.details, { reason: 'hashing', retryAfter: wait });
      assert.equal(headers.etag, undefined);
    }
    // What is asked for does not wait for what is long.
    await until(async () => (await ask(url, '/small')).status === 200);
    assert.equal((await ask(url, '/large', {}, { method: 'HEAD' })).status, 503);
    await serving.hashed;
    assert.equal((await ask(url, '/large', { Range: 'bytes=-5' })).body.toString(), '\0'.repeat(5));
    const part = statuses.map(({ hashing }) => hashing.bytesDone / hashing.bytes);
    assert.ok(
      part.some((each) => each > 0 && each < 1),
      part.join(' '),
    );
    assert.ok(part.every((each, index) => each >= (part[index - 1] ?? 0)));
  });

  test('was hashed before by another server: its digests are there at once', async () => {
    await using files = await Files.of({ a: randomBytes(2 * MIB), 'sub/b': 'b' });
    await using cache = await Files.of({});
    const options = { ...HERE, cache: cache.folder };
    {
      await using serving = await serve([files.folder], options);
      await serving.hashed;
      assert.equal(serving.hashing.bytes, 2 * MIB + 1);
    }
    assert.equal((await readdir(cache.path('digests'))).length, 2);
    await using serving = await serve([files.folder], options);
    await serving.hashed;
    assert.deepEqual(serving.hashing, { files: 2, filesDone: 2, bytes: 0, bytesDone: 0 });
    assert.equal((await ask(serving.servers[0]?.url ?? '', '/sub/b')).status, 200);
  });

  test('one of very many, is served all the same', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 1500 }, (_, index) => [`d${index % 7}/f${index}`, `${index}`]),
    );
    await using files = await Files.of(many);
    await using serving = await serve([files.folder], { ...HERE, cache: false });
    const url = serving.servers[0]?.url ?? '';
    await until(async () => (await ask(url, '/d3/f1088')).status === 200);
    await serving.hashed;
    assert.equal(serving.hashing.filesDone, 1500);
    const { files: listed } = JSON.parse((await ask(url, '/')).body.toString()) as { files: object[] };
    assert.equal(listed.length, 1500);
  });
});
