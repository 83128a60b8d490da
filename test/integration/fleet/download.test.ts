import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { FleetClient } from '../../../src/client/fleet/fleet-client.ts';
import { downloadFromFleet, type FleetDownloadOptions } from '../../../src/client/fleet/fleet-download.ts';
import type { DownloadEvent, DownloadReport } from '../../../src/client/types.ts';
import type { DownloadSource } from '../../../src/core/api/files.ts';
import { madeUpContent } from '../../faults/content.ts';
import {
  FileStandIn,
  InformationStandIn,
  manifestOf,
  type Answer,
  type Asked,
  type FileStandInOptions,
} from './stand-in.ts';

const MIB = 1024 * 1024;
const FILE = '01a1f828-0000-7000-8000-000000000001';
const BYTES = madeUpContent(3, 4 * MIB).read(0, 4 * MIB);
const { manifest, digest } = manifestOf(BYTES, MIB);
const NAME = 'images/big.iso';

/** A token of 60 s, as far as its claims say; what they are signed with is for file servers to check. */
const token = (number: number, seconds = 60): string =>
  `e30.${Buffer.from(JSON.stringify({ iat: 0, exp: seconds, number })).toString('base64url')}.x`;

/** A fleet of one file, and what one test changes of it. */
class Fleet {
  readonly information: InformationStandIn[] = [];
  readonly ended: unknown[] = [];
  sources: DownloadSource[] = [];
  version = 1;
  renewals = 0;
  grantSeconds = 60;
  manifestLink = false;
  events: DownloadEvent[] = [];
  readonly folder: string;
  #changed = Promise.withResolvers<void>();
  readonly #t: TestContext;

  private constructor(t: TestContext, folder: string) {
    this.#t = t;
    this.folder = folder;
  }

  static async start(t: TestContext, servers = 1): Promise<Fleet> {
    const folder = await mkdtemp(join(tmpdir(), 'headwater-fleet-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const fleet = new Fleet(t, folder);
    for (let i = 0; i < servers; i++) {
      const made = await InformationStandIn.start((asked, signal) => fleet.#answer(asked, signal));
      t.after(() => made.close());
      fleet.information.push(made);
    }
    return fleet;
  }

  async server(name: string, options: Partial<FileStandInOptions> = {}): Promise<FileStandIn> {
    const made = await FileStandIn.start({ name, zone: 'a', bytes: BYTES, ...options });
    this.#t.after(() => made.close());
    return made;
  }

  change(sources: DownloadSource[]): void {
    this.sources = sources;
    this.version++;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async get(nameOrId = NAME, options: FleetDownloadOptions = {}): Promise<DownloadReport> {
    const client = new FleetClient({
      addresses: this.information.map(({ url }) => url),
      token: 'session',
      patience: 0,
    });
    try {
      return await downloadFromFleet(client, nameOrId, {
        output: `${this.folder}/`,
        interval: 0.05,
        ...options,
        onEvent: (event) => {
          this.events.push(event);
          options.onEvent?.(event);
        },
      });
    } finally {
      await client.close();
    }
  }

  async #answer({ method, path, query, body, token: who }: Asked, signal: AbortSignal): Promise<Answer> {
    if (who !== 'session') return { code: 'HW_TOKEN_INVALID' };
    const expiresAt = new Date(Date.now() + this.grantSeconds * 1000).toISOString();
    const file = {
      id: FILE,
      name: NAME,
      size: BYTES.length,
      sha256: manifest.sha256,
      manifestSha256: digest,
    };
    if (path === '/v1/fleet') {
      return { value: { id: 'f', version: '1', informationServers: this.information.map(({ url }) => url) } };
    }
    if (path === '/v1/files/by-name') {
      return query['name'] === NAME ? { value: file } : { code: 'HW_NOT_FOUND', message: 'no such file' };
    }
    if (path === `/v1/files/${FILE}`) return { value: file };
    if (path === `/v1/files/${FILE}/manifest`) return { value: manifest };
    if (method === 'POST' && path === `/v1/files/${FILE}/downloads`) {
      const link = { manifestUrl: `http://elsewhere.example/v1/files/${FILE}/manifest` };
      return {
        value: {
          id: 'grant',
          token: token(0, this.grantSeconds),
          expiresAt,
          file,
          ...(this.manifestLink ? link : { manifest }),
          version: String(this.version),
          sources: this.sources,
        },
      };
    }
    if (path === '/v1/downloads/grant/sources') {
      if (query['version'] === String(this.version)) {
        const gone = new Promise((resolve) => signal.addEventListener('abort', resolve));
        await Promise.race([this.#changed.promise, gone]);
      }
      return { value: { version: String(this.version), sources: this.sources } };
    }
    if (path === '/v1/downloads/grant/renew') {
      return { value: { token: token(++this.renewals, this.grantSeconds), expiresAt } };
    }
    if (path === '/v1/downloads/grant/end') {
      this.ended.push(body);
      return { value: {} };
    }
    return { code: 'HW_NOT_FOUND', message: path };
  }
}

test('a file comes by its name, from every server, under the end of its name', async (t) => {
  const fleet = await Fleet.start(t);
  const [one, two] = [await fleet.server('one'), await fleet.server('two', { zone: 'b' })];
  fleet.sources = [one.source(FILE), two.source(FILE)];
  const report = await fleet.get();
  assert.equal(report.output, join(fleet.folder, 'big.iso'));
  assert.equal(report.verified, 'chunks');
  assert.deepEqual(new Uint8Array(await readFile(report.output)), BYTES);
  assert.deepEqual(
    report.sources.map(({ name, zone }) => [name, zone]),
    [
      ['one', 'a'],
      ['two', 'b'],
    ],
  );
  const [end] = fleet.ended as { outcome: string; bytes: number; seconds: number }[];
  assert.equal(end?.outcome, 'done');
  assert.equal(end.bytes, BYTES.length);
});

test('by its id, with the manifest behind a link', async (t) => {
  const fleet = await Fleet.start(t);
  fleet.manifestLink = true;
  fleet.sources = [(await fleet.server('one')).source(FILE)];
  const granted: string[] = [];
  await fleet.get(FILE, {
    zone: 'b',
    onGrant: ({ file, sources }) => granted.push(file.name, ...sources.map(({ name }) => name)),
  });
  assert.deepEqual(granted, [NAME, 'one']);
  const post = fleet.information[0]?.asked.find(({ method }) => method === 'POST');
  assert.deepEqual(post?.body, { zone: 'b' });
});

test('a name that the fleet does not have is said so', async (t) => {
  const fleet = await Fleet.start(t);
  await assert.rejects(fleet.get('other'), { code: 'HW_NOT_FOUND', message: 'no such file' });
});

test('a manifest that is not the one the fleet names is refused', async (t) => {
  const fleet = await Fleet.start(t);
  fleet.sources = [(await fleet.server('one')).source(FILE)];
  const [chunk = '', ...others] = manifest.chunks;
  const chunks = [chunk.replace(/^./, (digit) => (digit === '0' ? '1' : '0')), ...others];
  const before = { ...manifest };
  Object.assign(manifest, { chunks });
  t.after(() => Object.assign(manifest, before));
  await assert.rejects(fleet.get(), { code: 'HW_MANIFEST_INVALID' });
  assert.equal((fleet.ended[0] as { outcome: string }).outcome, 'failed');
});

test('a server that joins on the way gets work', { timeout: 60_000 }, async (t) => {
  const fleet = await Fleet.start(t);
  const slow = await fleet.server('slow', { rate: MIB / 4 });
  const late = await fleet.server('late');
  fleet.sources = [slow.source(FILE)];
  const report = await fleet.get(NAME, {
    onEvent: (event) => {
      if (event.event === 'progress' && event.bytes > 0 && fleet.version === 1)
        fleet.change([slow.source(FILE), late.source(FILE)]);
    },
  });
  assert.deepEqual(new Uint8Array(await readFile(report.output)), BYTES);
  assert.ok((report.sources.find(({ name }) => name === 'late')?.bytes ?? 0) > 2 * MIB);
});

test('with every information server lost on the way it goes on', { timeout: 60_000 }, async (t) => {
  const fleet = await Fleet.start(t, 2);
  const one = await fleet.server('one', { rate: 4 * MIB });
  fleet.sources = [one.source(FILE)];
  let closing: Promise<unknown> | undefined;
  const report = await fleet.get(NAME, {
    onEvent: (event) => {
      if (event.event === 'progress' && event.bytes > 0)
        closing ??= Promise.all(fleet.information.map((each) => each.close()));
    },
  });
  await closing;
  assert.deepEqual(new Uint8Array(await readFile(report.output)), BYTES);
  assert.deepEqual(fleet.ended, []);
});

test('a grant is renewed in the middle of its life', { timeout: 60_000 }, async (t) => {
  const fleet = await Fleet.start(t);
  fleet.grantSeconds = 2;
  fleet.sources = [(await fleet.server('one', { rate: 1.5 * MIB })).source(FILE)];
  await fleet.get();
  assert.ok(fleet.renewals >= 1, String(fleet.renewals));
});

test(
  'a grant that is over for a file server is renewed, and the server asked again',
  { timeout: 60_000 },
  async (t) => {
    const fleet = await Fleet.start(t);
    const allows = (shown: string | undefined): boolean => shown !== undefined && shown !== token(0);
    fleet.sources = [(await fleet.server('one', { allows })).source(FILE)];
    const report = await fleet.get();
    assert.deepEqual(new Uint8Array(await readFile(report.output)), BYTES);
    assert.equal(fleet.renewals, 1);
  },
);

test('a chunk that came wrong is reported to who sent it, with the grant', { timeout: 60_000 }, async (t) => {
  const fleet = await Fleet.start(t);
  const wrong = BYTES.slice();
  wrong[2 * MIB] = (wrong[2 * MIB] ?? 0) ^ 1;
  const liar = await fleet.server('liar', { bytes: wrong });
  const good = await fleet.server('good', { rate: 2 * MIB });
  fleet.sources = [liar.source(FILE), good.source(FILE)];
  const report = await fleet.get();
  assert.deepEqual(new Uint8Array(await readFile(report.output)), BYTES);
  assert.deepEqual(liar.reports, [{ chunk: 2, token: token(0) }]);
  assert.deepEqual(good.reports, []);
});

test('a server that is paused is not asked, and is when it runs again', { timeout: 60_000 }, async (t) => {
  const fleet = await Fleet.start(t);
  const one = await fleet.server('one');
  fleet.sources = [one.source(FILE, 'paused')];
  const waits = Promise.withResolvers<void>();
  const report = fleet.get(NAME, {
    onEvent: (event) => {
      if (event.event === 'source' && event.state === 'waiting') waits.resolve();
    },
  });
  await waits.promise;
  assert.equal(one.bytesSent, 0);
  fleet.change([one.source(FILE)]);
  assert.equal((await report).size, BYTES.length);
});

test('one that is stopped tells the fleet so', async (t) => {
  const fleet = await Fleet.start(t);
  fleet.sources = [(await fleet.server('one', { rate: MIB / 2 })).source(FILE)];
  const stop = new AbortController();
  const download = fleet.get(NAME, {
    signal: stop.signal,
    onEvent: (event) => {
      if (event.event === 'progress') stop.abort();
    },
  });
  await assert.rejects(download, { code: 'HW_INTERRUPTED' });
  assert.equal((fleet.ended[0] as { outcome: string }).outcome, 'stopped');
});
