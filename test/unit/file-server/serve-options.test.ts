import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { normaliseServeOptions } from '../../../src/file-server/serve-options.ts';
import type { ServeOptions } from '../../../src/file-server/serve-types.ts';

describe('options of serving', () => {
  const portsOf = (options: ServeOptions) =>
    normaliseServeOptions(options).ports.map(({ port, exact }) => (exact ? `${port}!` : String(port)));

  for (const [options, ports] of [
    [{}, ['8080']],
    [{ count: 3 }, ['8080', '8081', '8082']],
    [{ ports: [9000] }, ['9000!']],
    [{ ports: [9000, 9005] }, ['9000!', '9005!']],
    [{ ports: [9000], count: 3 }, ['9000!', '9001', '9002']],
    [{ ports: [0], count: 3 }, ['0!', '0', '0']],
    [{ ports: [0, 0] }, ['0!', '0!']],
  ] as [ServeOptions, string[]][]) {
    test(`${JSON.stringify(options)} want the ports ${ports.join(', ')}`, () =>
      assert.deepEqual(portsOf(options), ports));
  }

  for (const [options, message] of [
    [{ count: 0 }, 'count takes a whole number, 1 to 256, not 0'],
    [{ count: 1.5 }, 'count takes a whole number, 1 to 256, not 1.5'],
    [{ count: 257 }, 'count takes a whole number, 1 to 256, not 257'],
    [{ count: NaN }, 'count takes a whole number, 1 to 256, not NaN'],
    [{ ports: [1, 2], count: 1 }, '2 ports were given for 1 servers'],
    [{ ports: [1, 65_536] }, 'ports.1 takes a port number, 0 to 65535, not 65536'],
    [{ ports: [-1] }, 'ports.0 takes a port number, 0 to 65535, not -1'],
    [{ ports: 8080 }, 'ports takes a list of port numbers, not 8080'],
    [{ ports: [8080, 8080] }, 'port 8080 was given twice'],
    [{ ports: [65_535], count: 2 }, 'no ports are left above 65535 for 2 servers'],
    [{ limit: 0 }, 'limit takes bytes a second, 1 or more, not 0'],
    [{ limit: '20M' }, 'limit takes bytes a second, 1 or more'],
    [{ interval: 0 }, 'interval takes seconds, 0.05 to 86400, not 0'],
    // A timer of so long would go off at once.
    [{ interval: 1e9 }, 'interval takes seconds, 0.05 to 86400, not 1000000000'],
    [{ grace: -1 }, 'grace takes seconds, 0 to 86400, not -1'],
    [{ address: '' }, 'address takes an IP address or host name of this machine'],
    [{ cache: true }, 'cache takes a folder, or false'],
    [{ control: { port: 70_000 } }, 'control.port takes a port number, 0 to 65535, not 70000'],
    [{ control: { port: 1, token: '' } }, 'control.token takes a token that is not empty'],
    [{ control: { port: 1, tokens: '' } }, 'unknown option "control.tokens"'],
    [{ tls: { cert: 'none' } }, 'tls.key takes a PEM text'],
    [{ tls: { cert: 'none', key: 'none' } }, /^the TLS certificate and key cannot be used: /],
    [{ signal: 'stop' }, 'signal takes an AbortSignal'],
    [{ onEvent: {} }, 'onEvent takes a function'],
    [{ colour: 'blue' }, 'unknown option "colour"'],
  ] as [ServeOptions, string | RegExp][]) {
    test(`${JSON.stringify(options)} are refused, with what the option takes`, () =>
      assert.throws(() => normaliseServeOptions(options), { code: 'HW_USAGE', message }));
  }

  test('that are not given have their defaults', () => {
    const { interval, grace, ports } = normaliseServeOptions({});
    assert.deepEqual(
      { interval, grace, ports },
      { interval: 1000, grace: 5, ports: [{ port: 8080, exact: false }] },
    );
  });
});
