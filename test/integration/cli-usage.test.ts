import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { headwater } from './program.ts';

const URL = 'http://127.0.0.1:9/f';

/** Wrong arguments, and what the one line must name. */
const WRONG: readonly [string, readonly string[], RegExp][] = [
  ['an unknown command', ['fetch', URL], /'fetch'/],
  ['an unknown option', ['get', URL, '--foo'], /'--foo'/],
  ['an option that is nearly right', ['get', URL, '--quite'], /'--quite'.*--quiet/],
  ['no source', ['get'], /SOURCE is missing/],
  ['a source that is no URL', ['get', 'f.iso'], /SOURCE takes a URL.*"f\.iso"/],
  ['a source of another scheme', ['get', 'ftp://a/f'], /SOURCE takes a URL/],
  ['a name too many', ['get', 'f', 'g', '-a', 'h', '-p', '1'], /NAME takes one name.*"g"/],
  ['a name that leads out', ['get', '../f', '-a', 'h'], /NAME takes/],
  ['a host that is none', ['get', 'f', '-a', 'h/x', '-p', '1'], /--address takes.*"h\/x"/],
  ['an empty host', ['get', 'f', '-a', 'h,', '-p', '1'], /--address takes/],
  ['a port that is none', ['get', 'f', '-a', 'h', '-p', '8o80'], /--port takes.*65535.*"8o80"/],
  ['a port too high', ['get', 'f', '-a', 'h', '-p', '65536'], /--port takes.*"65536"/],
  ['ports without hosts', ['get', 'f', '-p', '1'], /--port needs --address/],
  [
    'an option without its argument',
    ['get', URL, '--limit'],
    /--limit takes bytes a second.*nothing was given/,
  ],
  ['an empty output', ['get', URL, '-o', ''], /--output takes/],
  ['a short digest', ['get', URL, '--sha256', 'abc'], /--sha256 takes.*64 hex digits/],
  ['no connection', ['get', URL, '-c', '0'], /--connections takes a whole number from 1 to 64/],
  ['half a connection', ['get', URL, '-c', '1.5'], /--connections takes/],
  ['too many connections', ['get', URL, '-c', '65'], /--connections takes/],
  ['a rate of nothing', ['get', URL, '--limit', '0'], /--limit takes/],
  ['a rate in an unknown unit', ['get', URL, '--limit', '5X'], /--limit takes.*20M.*"5X"/],
  ['a duration in words', ['get', URL, '--timeout', 'soon'], /--timeout takes a duration.*never.*"soon"/],
  ['no interval', ['get', URL, '-i', '0'], /--interval takes seconds/],
  ['a header without a colon', ['get', URL, '--header', 'x'], /--header takes 'Name: value'/],
  ['a header of two lines', ['get', URL, '--header', 'A: b\r\nC: d'], /--header takes/],
  [
    "a header that is the program's own",
    ['get', URL, '--header', 'Range: bytes=0-1'],
    /--header takes.*Range/,
  ],
  ['a missing certificate file', ['get', URL, '--ca', '/nowhere'], /--ca takes a PEM file.*\/nowhere/],
  ['a certificate without a key', ['get', URL, '--cert', '/nowhere'], /--cert and --key/],
  ['a report in no folder', ['get', URL, '--report', '/nowhere/r'], /--report takes.*\/nowhere/],
  ['quiet JSON', ['get', URL, '-q', '--json'], /--json.*--quiet/],
  ['nothing to serve', ['serve'], /PATH/],
  ['a path that is not there', ['serve', '/nowhere/f'], /\/nowhere\/f/],
  ['no server', ['serve', '/etc/hosts', '-n', '0'], /--count takes/],
  ['a wrong port to serve on', ['serve', '/etc/hosts', '-p', 'x'], /--port takes/],
  ['an unknown level', ['serve', '/etc/hosts', '--log', 'loud'], /--log/],
];

describe('wrong arguments end with 2 and one line that names them:', { concurrency: 4 }, () => {
  for (const [what, args, names] of WRONG) {
    test(what, async () => {
      const { status, stdout, stderr } = await headwater(args);
      assert.match(stderr, /^headwater: [^\n]+ \(HW_[A-Z_]+\)\n$/);
      assert.match(stderr, names);
      assert.equal(stdout, '');
      assert.equal(status, 2);
    });
  }
});

test('a password in a wrong argument is not repeated', async () => {
  const { stderr } = await headwater(['get', URL, '--header', 'Authorization: Bearer s3cret\n']);
  assert.ok(!stderr.includes('s3cret'), stderr);
});

describe('help', () => {
  test('shows the commands and examples on standard output', async () => {
    const { status, stdout, stderr } = await headwater(['--help']);
    assert.equal(status, 0);
    assert.equal(stderr, '');
    for (const word of ['get', 'serve', 'Examples:', 'headwater get http'])
      assert.ok(stdout.includes(word), word);
  });
  for (const [args, words] of [
    [
      ['get', '--help'],
      ['--sha256', '--timeout', 'Exit statuses', 'Examples:'],
    ],
    [
      ['help', 'get'],
      ['--sha256', 'Examples:'],
    ],
    [
      ['serve', '-h'],
      ['--count', 'Examples:'],
    ],
  ] as const) {
    test(args.join(' '), async () => {
      const { status, stdout } = await headwater(args);
      assert.equal(status, 0);
      for (const word of words) assert.ok(stdout.includes(word), word);
    });
  }
  test('without a command it goes to standard error, with 2', async () => {
    const { status, stdout, stderr } = await headwater([]);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^Usage: headwater/);
  });
});

test('--version is that of the package', async () => {
  const { default: about } = await import('../../package.json', { with: { type: 'json' } });
  assert.equal((await headwater(['--version'])).stdout, `${about.version}\n`);
});

test('get loads nothing of serve, and nothing that it may not need', async () => {
  // The compile cache is off, so that every module is read; --trace would be slower than asking the loader.
  const { stderr } = await headwater(
    ['get', 'http://127.0.0.1:9/f', '--timeout', '50ms', '-q', '-o', '/dev/null/x'],
    {
      env: { NODE_DEBUG: 'esm' },
    },
  );
  for (const module of ['/undici/', '/zod/', '/pino/', '/log-update/', '/src/cli/serve.ts']) {
    assert.ok(!stderr.includes(module), module);
  }
  assert.ok(stderr.includes('/src/cli/get.ts'), 'the loader says what it loads');
});
