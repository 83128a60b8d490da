import assert from 'node:assert/strict';
import { it } from 'node:test';

import { onEachKind } from './each-kind.ts';
import { startTestServer } from './start.ts';

onEachKind('an information server', (kind) => {
  it('answers, leads when it is alone, and stops', async () => {
    await using test = await startTestServer(kind);
    const { status, body } = await test.ask('GET', '/readyz', undefined, null);
    assert.equal(status, 200);
    assert.deepEqual(body, {
      ready: true,
      leader: true,
      database: true,
      broker: true,
      leaderUrl: test.url,
      informationServers: [test.url],
    });
    await test.server.close();
    await assert.rejects(fetch(`${test.url}/healthz`));
  });
});
