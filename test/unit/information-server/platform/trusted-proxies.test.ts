import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { pino } from 'pino';

import { normaliseInformationServerOptions } from '../../../../src/information-server/options.ts';
import { buildApp } from '../../../../src/information-server/app.ts';
import type { Context } from '../../../../src/information-server/context.ts';
import { Metrics } from '../../../../src/information-server/platform/metrics.ts';
import { makeDatabase } from '../../database/each-database.ts';
import { namesProxies } from '../../../../src/information-server/platform/trusted-proxies.ts';

const data = mkdtempSync(join(tmpdir(), 'headwater-'));
after(() => rmSync(data, { recursive: true }));

describe('who a request is taken to come from', () => {
  const cases = [
    { trusted: [], from: '192.0.2.1', said: '203.0.113.9', is: '192.0.2.1' },
    { trusted: ['10.0.0.5'], from: '192.0.2.1', said: '203.0.113.9', is: '192.0.2.1' },
    { trusted: ['10.0.0.5'], from: '10.0.0.5', said: '203.0.113.9', is: '203.0.113.9' },
    { trusted: ['uniquelocal'], from: '10.89.0.7', said: '203.0.113.9', is: '203.0.113.9' },
    // What stands before the proxy's own word is the client's, and can be anything.
    { trusted: ['10.0.0.0/8'], from: '10.0.0.5', said: '198.51.100.1, 203.0.113.9', is: '203.0.113.9' },
  ];
  for (const { trusted, from, said, is } of cases) {
    test(`from ${from}, trusting ${trusted.join() || 'nobody'}, said to be ${said}: ${is}`, async () => {
      const settings = normaliseInformationServerOptions({ data, trustedProxies: trusted });
      await using made = await makeDatabase('sqlite');
      const { database } = made;
      const { signal } = new AbortController();
      const context = { database, metrics: new Metrics(), log: pino({ level: 'silent' }), signal };
      const app = await buildApp(context as unknown as Context, settings, [
        (scope) => void scope.get('/ip', (request) => ({ ip: request.ip })),
      ]);
      try {
        const answer = await app.inject({
          url: '/ip',
          remoteAddress: from,
          headers: { 'x-forwarded-for': said },
        });
        assert.deepEqual(answer.json(), { ip: is });
      } finally {
        await app.close();
      }
    });
  }
});

test('tells what names proxies from what does not', () => {
  for (const text of ['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', 'loopback'])
    assert.ok(namesProxies(text), text);
  for (const text of ['', 'nginx', '10.0.0', '10.0.0.0/33', '::/129', '10.0.0.0/8/8', '1.2.3.4/'])
    assert.ok(!namesProxies(text), text);
});

test('refuses an option that names no proxy', () => {
  assert.throws(() => normaliseInformationServerOptions({ data, trustedProxies: ['nginx'] }), {
    code: 'HW_USAGE',
    message: /^trustedProxies/,
  });
});
