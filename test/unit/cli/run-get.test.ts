import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, describe, test } from 'node:test';

import type { DownloadOptions } from '../../../src/client/types.ts';
import { type RawGetOptions, readGetRequest } from '../../../src/cli/get-request.ts';
import { type Download, runGet } from '../../../src/cli/run-get.ts';
import { HeadwaterError } from '../../../src/core/errors.ts';
import { done, progress, start, urls } from './print/events.ts';

const folder = mkdtempSync(join(tmpdir(), 'headwater-'));
after(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  readonly options: DownloadOptions;
}

interface Setting {
  readonly raw?: Partial<RawGetOptions>;
  readonly argv?: readonly string[];
  /** Standard output and standard error are a terminal. */
  readonly terminal?: boolean;
}

type Act = (
  options: DownloadOptions,
  io: { stdout: PassThrough; output: PassThrough },
) => Promise<void> | void;

/** Runs `get` with a download that does what `act` does and then ends well. */
async function get(
  act: Act,
  { raw = {}, argv = ['get', ...urls(2)], terminal = false }: Setting = {},
): Promise<Outcome> {
  const stdout = Object.assign(new PassThrough(), { isTTY: terminal });
  const stderr = Object.assign(new PassThrough(), { isTTY: terminal });
  const output = new PassThrough();
  const controller = new AbortController();
  let given: DownloadOptions = {};
  const download: Download = async (_, options = {}) => {
    given = options;
    await act(options, { stdout, output });
    options.onEvent?.(done());
    return done();
  };
  const status = await runGet(
    readGetRequest(urls(2), { interval: 2, resume: true, ...raw }),
    async () => download,
    {
      stdout,
      stderr,
      openOutput: () => output,
      interrupts: {
        signal: controller.signal,
        stop: (reason) => controller.abort(reason),
        [Symbol.dispose]: () => undefined,
      },
      argv,
    },
  );
  const text = (stream: PassThrough): string => String(stream.read() ?? '');
  return { status, out: text(stdout), err: text(stderr), options: given };
}

const fails =
  (code: ConstructorParameters<typeof HeadwaterError>[0], message = 'so it is'): Act =>
  ({ onEvent }) => {
    onEvent?.(start());
    onEvent?.(progress(2));
    throw new HeadwaterError(code, message);
  };

test('a download that ends well ends with 0 and the report', async () => {
  const { status, out, err } = await get(() => undefined);
  assert.equal(status, 0);
  assert.match(out, /Every chunk matched its digest/);
  assert.equal(err, '');
});

describe('an error is one line on standard error and the status of the table', () => {
  for (const [code, exit] of [
    ['HW_NOT_FOUND', 3],
    ['HW_VERIFICATION', 4],
    ['HW_DISK', 5],
    ['HW_SOURCES_LOST', 6],
    ['HW_NOT_ALLOWED', 7],
  ] as const) {
    test(code, async () => {
      const { status, err } = await get(fails(code), { raw: { quiet: true } });
      assert.equal(status, exit);
      assert.equal(err.split('\n')[0], `headwater: so it is (${code})`);
    });
  }
  test('anything else is a defect: 70, with the place', async () => {
    const { status, err } = await get(() => {
      throw new TypeError('x is not a function');
    });
    assert.equal(status, 70);
    assert.match(err, /defect.*HW_INTERNAL.*x is not a function\n +at /s);
  });
});

test('the engine reports as often as it was asked to, ten times a second for a terminal', async () => {
  assert.equal((await get(() => undefined)).options.interval, 2);
  assert.equal((await get(() => undefined, { terminal: true })).options.interval, 0.1);
  assert.equal((await get(() => undefined, { terminal: true, raw: { json: true } })).options.interval, 2);
});

test('--quiet prints nothing when all is well', async () => {
  const { out, err } = await get(({ onEvent }) => onEvent?.(progress(2)), { raw: { quiet: true } });
  assert.equal(out + err, '');
});

test('--json prints every event, and the error as the last one', async () => {
  const { out, err } = await get(fails('HW_DISK'), { raw: { json: true } });
  const events = out
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { event: string }).event);
  assert.deepEqual(events, ['start', 'progress', 'error']);
  assert.equal(err, 'headwater: so it is (HW_DISK)\n');
});

describe('standard output as output', () => {
  test('gets the file and nothing else', async () => {
    const { out, err, options } = await get(() => undefined, { raw: { output: '-' } });
    assert.ok(options.output instanceof PassThrough);
    assert.equal(out, '');
    assert.match(err, /Every chunk matched its digest/);
  });
  test('has its JSON on standard error', async () => {
    const { out, err } = await get(() => undefined, { raw: { output: '-', json: true } });
    assert.equal(out, '');
    assert.match(err, /^\{"event":"done"/);
  });
  test('is no terminal, unless forced', async () => {
    const setting = { raw: { output: '-' }, terminal: true };
    await assert.rejects(
      get(() => undefined, setting),
      { code: 'HW_USAGE', message: /^--output takes "-"/ },
    );
    assert.equal((await get(() => undefined, { ...setting, raw: { output: '-', force: true } })).status, 0);
  });
  test('whose reader goes away ends the download quietly with 141', async () => {
    const { status, err } = await get(
      ({ signal }, { output }) => {
        output.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
        assert.ok(signal?.aborted);
        throw new HeadwaterError('HW_DISK', 'cannot write');
      },
      { raw: { output: '-', quiet: true } },
    );
    assert.equal(status, 141);
    assert.equal(err, '');
  });
});

test('when nobody reads the progress any more, it stops quietly with 141', async () => {
  const { status, err } = await get(({ signal }, { stdout }) => {
    stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    signal?.throwIfAborted();
  });
  assert.equal(status, 141);
  assert.equal(err, '');
});

describe('stopped by a signal', () => {
  const stoppedWith =
    (keptBytes: number | undefined): Act =>
    ({ onEvent, signal }) => {
      onEvent?.(start());
      onEvent?.(progress(2));
      Object.defineProperty(signal, 'aborted', { value: true });
      throw new HeadwaterError('HW_INTERRUPTED', 'the caller stopped it', { details: { keptBytes } });
    };
  const stopped = stoppedWith(47 * 1024 * 1024);
  test('it tells what is kept and how to go on, and ends with 130', async () => {
    const argv = ['get', 'http://a/my file', '--no-resume', '-q'];
    const { status, err } = await get(stopped, { argv, raw: { quiet: true } });
    assert.equal(status, 130);
    assert.match(
      err,
      /^headwater: stopped; 47 MiB of 100 MiB are kept \(HW_INTERRUPTED\)\ngo on with: \S+ get 'http:\/\/a\/my file' -q\n$/,
    );
  });
  test('a log gets the command without its secrets, a terminal with them', async () => {
    const argv = ['get', 'http://me:pw@a/f'];
    const log = await get(stopped, { argv });
    assert.match(log.err, /get 'http:\/\/\*\*\*@a\/f'\n\(what is shown as \*\*\* here was left out\)\n$/);
    const terminal = await get(stopped, { argv, terminal: true, raw: { quiet: true } });
    assert.match(terminal.err, /get http:\/\/me:pw@a\/f\n$/);
  });
  test('what came of chunks that are not whole is not kept', async () => {
    const { err } = await get(stoppedWith(0), { raw: { quiet: true } });
    assert.equal(err, 'headwater: stopped; nothing is kept (HW_INTERRUPTED)\n');
  });
  test('where it is not known how much is there, it does not guess', async () => {
    const { err } = await get(stoppedWith(undefined), { raw: { quiet: true } });
    assert.match(err, /^headwater: stopped; what is there is kept \(HW_INTERRUPTED\)\ngo on with: /);
  });
  test('a pipe has nothing to go on from', async () => {
    const { err } = await get(stopped, { raw: { output: '-', quiet: true } });
    assert.equal(err, 'headwater: stopped; nothing is kept (HW_INTERRUPTED)\n');
  });
});

test('lost sources and a full disk tell how to go on too; a wrong file does not', async () => {
  for (const code of ['HW_SOURCES_LOST', 'HW_DISK_FULL'] as const) {
    assert.match((await get(fails(code))).err, /\ngo on with: /);
  }
  assert.ok(!(await get(fails('HW_VERIFICATION'))).err.includes('go on with'));
});

test('secrets are hidden in errors', async () => {
  const raw = { header: [['Authorization', 'Bearer abc.def']] as const };
  const { err } = await get(fails('HW_CONNECT', 'http://me:pw@a/f refused Bearer abc.def'), { raw });
  assert.equal(err, 'headwater: http://***@a/f refused *** (HW_CONNECT)\n');
});

describe('--report', () => {
  test('writes what the library reports', async () => {
    const report = join(folder, 'report.json');
    await get(() => undefined, { raw: { report } });
    assert.deepEqual(JSON.parse(readFileSync(report, 'utf8')), done());
  });
  test('that cannot be written is told, with 5, and the file is there', async () => {
    const { status, err } = await get(() => undefined, { raw: { report: folder } });
    assert.equal(status, 5);
    assert.match(err, /the file is complete, but its report cannot be written/);
  });
});
