import assert from 'node:assert/strict';
import { PassThrough, Transform } from 'node:stream';
import { describe, test } from 'node:test';

import { MIB } from '../../../src/core/chunks.ts';
import { HONEST, type SeenRequest, type Script } from '../fault-server.ts';
import { bans, failure, Lab, of, sha256, slow } from './lab.ts';

const BASIC = `Basic ${Buffer.from('river:s3cr:et').toString('base64')}`;

/** Credentials in the URL. */
function named(url: URL): URL {
  const carrying = new URL(url);
  carrying.username = 'river';
  carrying.password = 's3cr:et';
  return carrying;
}

/** Sends on from paths that begin with this to where `to` says. */
function redirectFrom(prefix: string, to: () => string): Script {
  return ({ target }) => (target.startsWith(prefix) ? { does: 'redirect', to: to() } : HONEST);
}

function field(requests: readonly SeenRequest[], name: string): Set<string | undefined> {
  return new Set(requests.map(({ headers }) => headers.get(name)));
}

describe('redirects', { concurrency: 8 }, () => {
  test('one within the server is followed once and remembered', async () => {
    await using lab = await Lab.of([redirectFrom('/old', () => '/new/place.bin')]);
    const report = await lab.get({ sha256: lab.sha256 }, [lab.server(1).urlOf('old.bin')]);
    lab.hasTheFile();
    const targets = lab.server(1).counters.seen.map(({ target }) => target);
    assert.deepEqual(new Set(targets.slice(1)), new Set(['/new/place.bin']));
    assert.equal(targets[0], '/old.bin');
    assert.match(of(report, 1).url, /old\.bin$/);
  });

  test('one to another host is followed once, and who we are is not told there', async () => {
    await using lab = await Lab.of([HONEST, HONEST], { size: 4 * MIB });
    lab.server(1).behave({ does: 'redirect', to: lab.server(2).url.href });
    const headers = { Authorization: 'Bearer t0ken', Cookie: 'id=7', 'X-Plain': 'yes' };
    const report = await lab.get({ sha256: lab.sha256, headers }, [lab.server(1).url]);
    lab.hasTheFile();
    assert.equal(lab.server(1).counters.requests, 1);
    assert.deepEqual(field(lab.server(1).counters.seen, 'authorization'), new Set(['Bearer t0ken']));
    const there = lab.server(2).counters.seen;
    assert.ok(there.length >= 2);
    assert.deepEqual(field(there, 'authorization'), new Set([undefined]));
    assert.deepEqual(field(there, 'cookie'), new Set([undefined]));
    assert.deepEqual(field(there, 'x-plain'), new Set(['yes']));
    assert.equal(of(report, 1).bytes, lab.size);
  });

  test('credentials of the URL stay with its host, also over a redirect that names it in full', async () => {
    await using lab = await Lab.of([HONEST]);
    const [server] = lab.servers;
    lab.server(1).behave(redirectFrom('/old', () => server?.urlOf('new.bin').href ?? ''));
    await lab.get({ sha256: lab.sha256 }, [named(lab.server(1).urlOf('old.bin'))]);
    lab.hasTheFile();
    assert.deepEqual(field(lab.server(1).counters.seen, 'authorization'), new Set([BASIC]));
  });

  test('credentials of the URL are not sent to another host', async () => {
    await using lab = await Lab.of([HONEST, HONEST]);
    lab.server(1).behave({ does: 'redirect', to: lab.server(2).url.href });
    await lab.get({ sha256: lab.sha256 }, [named(lab.server(1).url)]);
    lab.hasTheFile();
    assert.deepEqual(field(lab.server(1).counters.seen, 'authorization'), new Set([BASIC]));
    assert.deepEqual(field(lab.server(2).counters.seen, 'authorization'), new Set([undefined]));
  });

  for (const [name, to] of [
    ['to itself', '/file.bin'],
    ['in a circle', '/round'],
    ['to what is no HTTP', 'ftp://127.0.0.1/file.bin'],
  ] as const) {
    test(`one ${name} ends that source, and the others bring the file`, async () => {
      const loops: Script = ({ number }) => ({
        does: 'redirect',
        to: to === '/round' ? `/round/${number % 2}` : to,
      });
      await using lab = await Lab.of([loops, HONEST]);
      lab.server(2).freeze();
      lab.on(
        (event) => event.event === 'source' && event.state === 'banned',
        () => lab.server(2).thaw(),
      );
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.deepEqual(bans(report), { 1: 'HW_REDIRECT' });
      assert.ok(lab.server(1).counters.requests <= 11);
    });
  }
});

describe('what is sent', { concurrency: 8 }, () => {
  test('header fields of the caller go with every request, and no secret into events', async () => {
    await using lab = await Lab.of([HONEST, HONEST]);
    await lab.get({ headers: { 'X-Key': 'k3y', 'User-Agent': 'river/1' } }, [
      named(lab.server(1).url),
      lab.server(2).url,
    ]);
    lab.hasTheFile();
    for (const server of lab.servers) {
      assert.deepEqual(field(server.counters.seen, 'x-key'), new Set(['k3y']));
      assert.deepEqual(field(server.counters.seen, 'user-agent'), new Set(['river/1']));
      assert.deepEqual(field(server.counters.seen, 'accept-encoding'), new Set(['identity']));
    }
    assert.deepEqual(field(lab.server(1).counters.seen, 'authorization'), new Set([BASIC]));
    assert.deepEqual(field(lab.server(2).counters.seen, 'authorization'), new Set([undefined]));
    assert.doesNotMatch(JSON.stringify(lab.events), /s3cr|k3y/);
  });

  test('every byte is asked for about once', async () => {
    await using lab = await Lab.of([HONEST, HONEST, HONEST], { size: 16 * MIB });
    const report = await lab.get({ sha256: lab.sha256 });
    lab.hasTheFile();
    const sent = lab.servers.reduce((sum, server) => sum + server.counters.bytesSent, 0);
    assert.ok(sent <= lab.size + 2 * MIB, `${sent} bytes were sent`);
    assert.ok(report.wastedBytes <= MIB);
  });

  test('one URL given twice is one source', async () => {
    await using lab = await Lab.of([HONEST]);
    const report = await lab.get({}, [...lab.urls, ...lab.urls]);
    assert.equal(report.sources.length, 1);
  });
});

/** Counts what is open at a server while something runs. */
function mostOpen(lab: Lab): { readonly most: number; stop(): void } {
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, ...lab.servers.map((server) => server.open));
  }, 1);
  return {
    get most() {
      return most;
    },
    stop: () => clearInterval(timer),
  };
}

describe('connections', { concurrency: 8 }, () => {
  for (const connections of [1, 3]) {
    test(`there are never more than ${connections} to a source when that is asked for`, async () => {
      await using lab = await Lab.of([slow(2 * MIB), slow(2 * MIB)], { size: 8 * MIB });
      const watch = mostOpen(lab);
      const report = await lab.get({ connections });
      watch.stop();
      lab.hasTheFile();
      assert.equal(watch.most, connections);
      for (const { connections: opened } of report.sources) assert.equal(opened, connections);
    });
  }
});

/** Bytes a second that came from the sources, beginning and end left out. */
function steadyRate(lab: Lab): number {
  const seen = lab.events
    .filter((event) => event.event === 'progress')
    .map(({ seconds, sources }) => ({ seconds, bytes: sources.reduce((sum, { bytes }) => sum + bytes, 0) }))
    .filter(({ bytes }) => bytes > lab.size * 0.1 && bytes < lab.size * 0.9);
  const [first, last] = [seen[0], seen.at(-1)];
  if (first === undefined || last === undefined) throw new Error('nothing was seen of the download');
  return (last.bytes - first.bytes) / (last.seconds - first.seconds);
}

/** Never more than a tenth above; a machine with too much to do may be further below. */
function isHeld(part: number): void {
  assert.ok(part > 0.8 && part < 1.1, `${part} of the limit`);
}

describe('a limit', { concurrency: 3 }, () => {
  const limit = 3 * MIB;

  test('is held within a tenth, and leaves the faster source the faster', async () => {
    await using lab = await Lab.of([slow(8 * MIB), slow(2 * MIB)], { size: 12 * MIB });
    const report = await lab.get({ limit, sha256: lab.sha256, interval: 0.05 });
    lab.hasTheFile();
    isHeld(steadyRate(lab) / limit);
    assert.ok(of(report, 1).bytes > of(report, 2).bytes, JSON.stringify(report.sources));
  });

  test("that is low is nobody's silence", async () => {
    await using lab = await Lab.of([HONEST, HONEST, HONEST], { size: 1.5 * MIB });
    const report = await lab.get({ limit: 0.3 * MIB, sha256: lab.sha256, timeout: 1 });
    lab.hasTheFile();
    assert.ok(report.seconds > 4);
    assert.ok(report.sources.every(({ failures }) => failures === 0));
  });

  test('is held into a stream as well', async () => {
    await using lab = await Lab.of([HONEST, HONEST], { size: 12 * MIB });
    const output = new PassThrough();
    output.resume();
    await lab.get({ limit, output, sha256: lab.sha256, interval: 0.05 });
    isHeld(steadyRate(lab) / limit);
  });
});

describe('an output that is slow', { concurrency: 4 }, () => {
  test('is not taken for servers that are silent', async () => {
    await using lab = await Lab.of([HONEST, HONEST], { size: 24 * MIB });
    const parts: Buffer[] = [];
    let rests = 2;
    const output = new Transform({
      highWaterMark: MIB,
      transform(part: Buffer, _, callback) {
        parts.push(part);
        const rest = parts.length > 2 && rests-- > 0 ? 1_500 : 0;
        setTimeout(callback, rest);
      },
    });
    const report = await lab.get({ sha256: lab.sha256, output, timeout: 0.5, memory: 8 * MIB });
    assert.equal(sha256(Buffer.concat(parts)), lab.sha256);
    assert.ok(report.seconds > 3);
    assert.ok(report.sources.every(({ failures }) => failures === 0));
  });

  test('that goes away ends the download', async () => {
    await using lab = await Lab.of([slow(4 * MIB)]);
    const output = new PassThrough();
    output.resume();
    lab.on(
      (event) => event.event === 'progress' && event.bytes > MIB,
      () => output.destroy(),
    );
    const error = await failure(lab.get({ output, interval: 0.05 }));
    assert.equal(error.code, 'HW_DISK');
  });
});
