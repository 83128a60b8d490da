import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import * as fc from 'fast-check';

import { MIB } from '../../src/core/chunks.ts';
import { MANIFEST_TYPE, parseManifest } from '../../src/core/manifest.ts';
import { Files, rawConnection, readToEnd, Served } from './serve-lab.ts';

const run = promisify(execFile);
const BIG = randomBytes(3 * MIB + 777);
const SHA256 = createHash('sha256').update(BIG);
const HEX = SHA256.copy().digest('hex');
const REPR_DIGEST = `sha-256=:${SHA256.digest('base64')}:`;
const NAME = 'grün & 100% "wild" 😀.bin';

let served: Served;
before(async () => {
  served = await Served.of({
    'big.bin': BIG,
    empty: '',
    one: 'x',
    [NAME]: 'wild',
    'sub/deep/a b.txt': 'deep',
  });
});
after(() => served[Symbol.asyncDispose]());

describe('GET', () => {
  test('gives the whole file with everything that is known of it', async () => {
    const { status, headers, body } = await served.ask('/big.bin');
    assert.equal(status, 200);
    assert.ok(body.equals(BIG));
    assert.equal(headers['content-length'], String(BIG.length));
    assert.equal(headers['content-type'], 'application/octet-stream');
    assert.equal(headers['accept-ranges'], 'bytes');
    assert.equal(headers.etag, `"${HEX}"`);
    assert.equal(headers['repr-digest'], REPR_DIGEST);
    assert.equal(headers['content-digest'], REPR_DIGEST);
    assert.equal(headers['content-disposition'], 'attachment; filename="big.bin"');
    assert.equal(headers.link, `<?manifest>; rel="describedby"; type="${MANIFEST_TYPE}"`);
    const age = Date.parse(headers.date ?? '') - Date.parse(headers['last-modified'] ?? '');
    assert.ok(age >= 3_600_000 && age < 3_700_000, `${age}`);
    assert.equal(headers['transfer-encoding'], undefined);
  });

  test('of an empty file gives nothing, well', async () => {
    const { status, headers, body } = await served.ask('/empty');
    assert.equal(status, 200);
    assert.equal(headers['content-length'], '0');
    assert.equal(body.length, 0);
    assert.equal(headers.etag, `"${createHash('sha256').digest('hex')}"`);
  });

  test('keeps the connection for the next request', async () => {
    const socket = await rawConnection(served.url);
    const one = 'GET /one HTTP/1.1\r\nHost: x\r\n\r\n';
    // Three at once, which are to be answered in their order.
    socket.write(
      `${one}GET /none HTTP/1.1\r\nHost: x\r\n\r\n${one}HEAD /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    const text = await readToEnd(socket);
    assert.deepEqual(
      [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((each) => each[1]),
      ['200', '404', '200', '200'],
    );
  });

  test('in HTTP/1.0 gives the file and closes', async () => {
    const socket = await rawConnection(served.url);
    socket.write('GET /one HTTP/1.0\r\n\r\n');
    const text = await readToEnd(socket);
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.ok(text.endsWith('\r\n\r\nx'));
  });
});

describe('HEAD', () => {
  for (const path of ['/big.bin', '/empty', '/big.bin?manifest', '/', '/none']) {
    test(`${path} equals GET but for the body`, async () => {
      const get = await served.ask(path);
      const head = await served.ask(path, {}, { method: 'HEAD' });
      assert.equal(head.status, get.status);
      assert.equal(head.body.length, 0);
      const { date: _, ...expected } = get.headers;
      const { date: __, ...actual } = head.headers;
      assert.deepEqual(actual, expected);
    });
  }

  test('does not follow a range, which is defined for GET only', async () => {
    const { status, headers } = await served.ask('/big.bin', { Range: 'bytes=0-9' }, { method: 'HEAD' });
    assert.equal(status, 200);
    assert.equal(headers['content-length'], String(BIG.length));
  });
});

describe('other methods', () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND']) {
    test(`${method} are refused`, async () => {
      const { status, headers, body } = await served.ask('/big.bin', {}, { method });
      assert.equal(status, 405);
      assert.equal(headers.allow, 'GET, HEAD');
      const error = JSON.parse(body.toString()) as Record<string, unknown>;
      assert.equal(error['code'], 'HW_METHOD');
      assert.deepEqual(Object.keys(error), ['code', 'message', 'details']);
    });
  }
});

describe('a range', () => {
  const size = BIG.length;
  for (const [field, from, to] of [
    ['bytes=0-0', 0, 1],
    ['bytes=0-1048575', 0, MIB],
    [`bytes=${MIB - 1}-${MIB}`, MIB - 1, MIB + 1],
    [`bytes=${size - 1}-`, size - 1, size],
    ['bytes=-1', size - 1, size],
    [`bytes=-${size}`, 0, size],
    [`bytes=-${size + 1}`, 0, size],
    [`bytes=0-${size - 1}`, 0, size],
    [`bytes=5-${size + 100}`, 5, size],
    ['bytes=7-99999999999999999999999', 7, size],
  ] as const) {
    test(`${field} gives exactly these bytes`, async () => {
      const { status, headers, body } = await served.ask('/big.bin', { Range: field });
      assert.equal(status, 206);
      assert.equal(headers['content-range'], `bytes ${from}-${to - 1}/${size}`);
      assert.equal(headers['content-length'], String(to - from));
      assert.ok(body.equals(BIG.subarray(from, to)));
      assert.equal(headers.etag, `"${HEX}"`);
      assert.equal(headers['repr-digest'], REPR_DIGEST);
      // That would be the digest of the part.
      assert.equal(headers['content-digest'], undefined);
    });
  }

  for (const field of [
    `bytes=${size}-`,
    `bytes=${size}-${size + 1}`,
    'bytes=-0',
    'bytes=9999999999999999999-',
  ]) {
    test(`${field} lies outside: 416 with the size`, async () => {
      const { status, headers, body } = await served.ask('/big.bin', { Range: field });
      assert.equal(status, 416);
      assert.equal(headers['content-range'], `bytes */${size}`);
      assert.deepEqual((JSON.parse(body.toString()) as { code: string }).code, 'HW_RANGE');
    });
  }

  for (const field of ['bytes=5-4', 'bytes=-', 'bytes=', 'items=0-1', 'bytes=a-b', 'bytes 0-1', 'x']) {
    test(`"${field}" is none: the whole file`, async () => {
      const { status, body } = await served.ask('/big.bin', { Range: field });
      assert.equal(status, 200);
      assert.ok(body.equals(BIG));
    });
  }

  for (const field of ['bytes=0-1,4-5', 'bytes=0-0, -1', `bytes=0-1,${size}-`]) {
    test(`${field}, more than one, is answered with the whole file`, async () => {
      const { status, headers, body } = await served.ask('/big.bin', { Range: field });
      assert.equal(status, 200);
      assert.equal(headers['content-range'], undefined);
      assert.ok(body.equals(BIG));
    });
  }

  test('of an empty file lies outside, but for its last bytes, which are all of it', async () => {
    assert.equal((await served.ask('/empty', { Range: 'bytes=0-' })).status, 416);
    assert.equal((await served.ask('/empty', { Range: 'bytes=0-' })).headers['content-range'], 'bytes */0');
    assert.equal((await served.ask('/empty', { Range: 'bytes=-5' })).status, 200);
  });

  test('whatever it is, is answered as a simple model says', async () => {
    const number = fc.oneof(
      fc.nat({ max: 20 }),
      fc.integer({ min: 0, max: size + 20 }),
      fc.integer({ min: MIB / 2 - 3, max: MIB / 2 + 3 }),
      fc.integer({ min: size - 3, max: size + 3 }),
    );
    const range = fc.oneof(
      fc.tuple(number, number),
      fc.tuple(number, fc.constant(undefined)),
      fc.tuple(fc.constant(undefined), number),
    );
    await fc.assert(
      fc.asyncProperty(range, async ([first, last]) => {
        const answer = await served.ask('/big.bin', { Range: `bytes=${first ?? ''}-${last ?? ''}` });
        const expected = model(first, last, size);
        assert.equal(answer.status, expected.status);
        if (expected.status === 416) return;
        assert.ok(answer.body.equals(BIG.subarray(expected.from, expected.to)));
      }),
      { numRuns: 150 },
    );
  });
});

/** What a range asks for, byte by byte: the model that the program is held against. */
function model(first: number | undefined, last: number | undefined, size: number) {
  if (first !== undefined && last !== undefined && last < first) return { status: 200, from: 0, to: size };
  const asked = (index: number) =>
    first === undefined ? index >= size - (last ?? 0) : index >= first && index <= (last ?? Infinity);
  let from = 0;
  while (from < size && !asked(from)) from++;
  let to = from;
  while (to < size && asked(to)) to++;
  return from === to ? { status: 416, from, to } : { status: 206, from, to };
}

describe('a condition', () => {
  test('that the client has the file already gives 304 and no body', async () => {
    const whole = await served.ask('/big.bin');
    for (const headers of [
      { 'If-None-Match': `"${HEX}"` },
      { 'If-None-Match': `W/"${HEX}", "x"` },
      { 'If-None-Match': '*' },
      { 'If-Modified-Since': whole.headers['last-modified'] ?? '' },
    ]) {
      const { status, headers: given, body } = await served.ask('/big.bin', headers);
      assert.equal(status, 304);
      assert.equal(body.length, 0);
      assert.equal(given.etag, `"${HEX}"`);
      assert.equal(given['content-length'], undefined);
    }
  });

  test('goes before the range', async () => {
    const { status } = await served.ask('/big.bin', { 'If-None-Match': '*', Range: 'bytes=0-1' });
    assert.equal(status, 304);
  });

  test('that the file is another one gives 412', async () => {
    const { status, body } = await served.ask('/big.bin', { 'If-Match': '"x"', Range: 'bytes=0-1' });
    assert.equal(status, 412);
    assert.equal((JSON.parse(body.toString()) as { code: string }).code, 'HW_PRECONDITION');
  });

  test('on the range gives the part when it holds, and the whole when not', async () => {
    const whole = await served.ask('/big.bin', {}, { method: 'HEAD' });
    const Range = 'bytes=1-4';
    for (const validator of [`"${HEX}"`, whole.headers['last-modified'] ?? '']) {
      const part = await served.ask('/big.bin', { Range, 'If-Range': validator });
      assert.equal(part.status, 206, validator);
      assert.ok(part.body.equals(BIG.subarray(1, 5)));
      // What the client has from before is not sent again.
      assert.equal(part.headers['repr-digest'], undefined);
      assert.equal(part.headers.etag, `"${HEX}"`);
    }
    for (const validator of ['"x"', `W/"${HEX}"`, 'Sat, 01 Jan 2000 00:00:00 GMT']) {
      const all = await served.ask('/big.bin', { Range, 'If-Range': validator });
      assert.equal(all.status, 200, validator);
      assert.ok(all.body.equals(BIG));
    }
  });
});

describe('the manifest', () => {
  test('says what every chunk is', async () => {
    const { status, headers, body } = await served.ask('/big.bin?manifest');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], MANIFEST_TYPE);
    const manifest = parseManifest(body.toString(), 'the server');
    assert.equal(manifest.sha256, HEX);
    assert.equal(manifest.size, BIG.length);
    assert.equal(manifest.chunks.length, 4);
    const last = createHash('sha256').update(BIG.subarray(3 * MIB));
    assert.equal(manifest.chunks[3], last.digest('hex'));
  });

  test('has a strong tag of its own, and can be kept', async () => {
    const { headers, body } = await served.ask('/big.bin?manifest');
    assert.equal(headers.etag, `"${createHash('sha256').update(body).digest('hex')}"`);
    const again = await served.ask('/big.bin?manifest', { 'If-None-Match': headers.etag ?? '' });
    assert.equal(again.status, 304);
    const part = await served.ask('/big.bin?manifest', { Range: 'bytes=2-8' });
    assert.equal(part.status, 206);
    assert.ok(part.body.equals(body.subarray(2, 9)));
  });

  test('of what is not served is not there', async () => {
    assert.equal((await served.ask('/none?manifest')).status, 404);
  });
});

describe('names', () => {
  for (const name of [NAME, 'sub/deep/a b.txt']) {
    test(`${name} are served`, async () => {
      const { status, headers } = await served.ask(`/${name.split('/').map(encodeURIComponent).join('/')}`);
      assert.equal(status, 200);
      assert.match(headers['content-disposition'] ?? '', /^attachment; filename="/);
    });
  }

  test('can be asked for with the host in front', async () => {
    assert.equal((await served.ask(`${served.url}one`)).body.toString(), 'x');
  });

  test('are listed, for programs and for people', async () => {
    const json = await served.ask('/');
    const { files } = JSON.parse(json.body.toString()) as {
      files: { name: string; size: number; sha256: string }[];
    };
    assert.deepEqual(
      files.map(({ name, size }) => [name, size]),
      [
        ['big.bin', BIG.length],
        ['empty', 0],
        [NAME, 4],
        ['one', 1],
        ['sub/deep/a b.txt', 4],
      ],
    );
    assert.equal(files[0]?.sha256, HEX);
    const html = await served.ask('/', { Accept: 'text/html' });
    assert.match(html.headers['content-type'] ?? '', /^text\/html/);
    assert.ok(html.body.includes('href="/sub/deep/a%20b.txt"'));
    assert.equal(html.headers.vary, 'Accept');
  });
});

describe('real clients', () => {
  test('curl gets the file, a part of it, and goes on where it was', async () => {
    const options = { encoding: 'buffer', maxBuffer: 16 * MIB } as const;
    const whole = await run('curl', ['-sf', `${served.url}big.bin`], options);
    assert.ok(whole.stdout.equals(BIG));
    const part = await run('curl', ['-sf', '-r', '100-199', `${served.url}big.bin`], options);
    assert.ok(part.stdout.equals(BIG.subarray(100, 200)));
    const rest = await run('curl', ['-sf', '-C', '1000', `${served.url}big.bin`], options);
    assert.ok(rest.stdout.equals(BIG.subarray(1000)));
    const named = await run('curl', ['-sfOJ', '-w', '%{filename_effective}', `${served.url}one`], {
      cwd: served.files.folder + '/sub',
    });
    assert.equal(named.stdout, 'one');
  });

  test('aria2c gets it in parts from two servers at once', async () => {
    const content = randomBytes(24 * MIB);
    await using two = await Served.of({ 'big.bin': content }, { count: 2 });
    await using target = await Files.of({});
    const urls = two.serving.servers.map(({ url }) => `${url}big.bin`);
    const checksum = `--checksum=sha-256=${createHash('sha256').update(content).digest('hex')}`;
    await run('aria2c', ['-q', '-s4', '-x2', '-k1M', '-d', target.folder, checksum, ...urls]);
    assert.ok((await readFile(target.path('big.bin'))).equals(content));
    for (const server of two.serving.servers) assert.ok(server.status().bytesSent >= MIB);
  });
});
