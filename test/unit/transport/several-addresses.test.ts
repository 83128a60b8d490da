import assert from 'node:assert/strict';
import dns, { type LookupAddress } from 'node:dns';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';

import { HeadwaterError } from '../../../src/core/errors.ts';
import { openConnection } from '../../../src/transport/open-connection.ts';
import { defaultTransportSettings } from '../../../src/transport/settings.ts';
import { FaultServer, madeUpContent, refusingUrl } from '../../faults/fault-server.ts';
import { Collector } from './collector.ts';
import { SELF_SIGNED } from './self-signed.ts';

const content = madeUpContent(23, 2_000_000);

const ADDRESSES: LookupAddress[] = [
  { address: '::1', family: 6 },
  { address: '127.0.0.2', family: 4 },
  { address: '127.0.0.1', family: 4 },
];

/** Stands in for a name server, which is the only part of this that is not real. */
function lookUp(
  _name: string,
  _options: object,
  found: (error: null, addresses: LookupAddress[]) => void,
): void {
  process.nextTick(found, null, ADDRESSES);
}

describe('a name with several addresses', () => {
  beforeEach(() => {
    mock.method(dns, 'lookup', lookUp);
  });
  afterEach(() => {
    mock.restoreAll();
  });

  for (const secure of [false, true]) {
    it(`is reached when only the last of them answers${secure ? ', over TLS' : ''}`, async () => {
      await using server = await FaultServer.start({ content, ...(secure && { tls: SELF_SIGNED }) });
      const { url } = server;
      url.hostname = 'localhost';
      const connection = openConnection(url, { ...defaultTransportSettings, tls: { ca: SELF_SIGNED.cert } });
      for (let round = 1; round <= 2; round++) {
        const collector = new Collector(100_000);
        await connection.send({ method: 'GET', url, headers: {} }, collector);
        assert.ok(collector.body.equals(content.read(0, content.size)));
      }
      assert.equal(connection.opened, 1);
      connection.close();
    });
  }

  it('is said to refuse when all of them do', async () => {
    const url = await refusingUrl();
    url.hostname = 'localhost';
    const connection = openConnection(url, defaultTransportSettings);
    await assert.rejects(
      connection.send({ method: 'GET', url, headers: {} }, new Collector()),
      (error: unknown) =>
        error instanceof HeadwaterError &&
        error.message === `${url.host} refuses connections: nothing listens on that port.` &&
        error.cause instanceof AggregateError,
    );
  });
});
