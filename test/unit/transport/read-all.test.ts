import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { HeadwaterError } from '../../../src/core/errors.ts';
import type { Request } from '../../../src/transport/connection.ts';
import { openConnection } from '../../../src/transport/open-connection.ts';
import { type WholeAnswer, readAll } from '../../../src/transport/read-all.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, type Script, madeUpContent } from '../../faults/fault-server.ts';

const content = madeUpContent(5, 100_000);

async function answered(
  script: Script,
  mostBytes: number,
  method: Request['method'] = 'GET',
): Promise<WholeAnswer> {
  await using server = await FaultServer.start({ content, script });
  const connection = openConnection(server.url, defaultTransportSettings);
  try {
    return await readAll(connection, { method, url: server.url, headers: {} }, mostBytes);
  } finally {
    connection.close();
  }
}

describe('reading an answer whole', () => {
  it('gives head and body, of a known length or not, up to the very last byte allowed', async () => {
    for (const does of ['answer', 'end by closing'] as const) {
      for (const most of [content.size, content.size + 1, 1e9]) {
        const { head, body } = await answered({ does }, most);
        assert.equal(head.status, 200);
        assert.ok(Buffer.from(body).equals(content.read(0, content.size)));
      }
    }
  });

  it('takes no error status for a failure', async () => {
    const { head, body } = await answered({ does: 'refuse', status: 404 }, 100);
    assert.equal(head.status, 404);
    assert.equal(Buffer.from(body).toString(), 'status 404\n');
  });

  it('gives an empty body to HEAD, whatever length it states', async () => {
    const { head, body } = await answered({ does: 'answer' }, 10, 'HEAD');
    assert.equal(head.headers.get('content-length'), '100000');
    assert.equal(body.length, 0);
  });

  it('refuses a body that says it is too long', async () => {
    await assert.rejects(
      answered({ does: 'answer' }, content.size - 1),
      (error: unknown) =>
        error instanceof HeadwaterError &&
        error.code === 'HW_PROTOCOL' &&
        error.message.includes('more than 99999 bytes'),
    );
  });

  it('refuses a body that turns out too long', async () => {
    for (const script of [{ does: 'end by closing' }, { does: 'chunk', size: 1000 }] as const) {
      await assert.rejects(
        answered(script, content.size - 1),
        (error: unknown) => error instanceof HeadwaterError && error.code === 'HW_PROTOCOL',
      );
    }
  });
});
