import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';

import { brokerLab } from './broker-lab.ts';
import { series, tell, Told } from './feed-lab.ts';
import { OwnBroker, withoutOwnBroker } from './own-broker.ts';

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  it(
    `a broker that ends by ${signal} and is started again loses no event: those it had, and those it never saw`,
    { skip: withoutOwnBroker },
    async () => {
      await using broker = await OwnBroker.start();
      await using lab = await brokerLab('sqlite', broker.url);
      const server = await lab.join('one');
      const told = new Told(server.position);
      const connected = once(told, 'connected');
      told.start(lab.feedOf(server));
      await connected;
      let open = (): void => undefined;
      const gate = new Promise<void>((resolve) => (open = resolve));
      told.before = async ({ data }) => {
        if (data['name'] === 'kept-50') await gate;
      };
      await tell(lab, series('kept', 200));
      await lab.relayed();
      const away = once(told, 'away');
      await broker.end(signal);
      await away;
      await tell(lab, series('waiting', 50));
      open();
      const back = once(told, 'connected');
      await broker.start();
      await told.until(() => new Set(told.names).size === 250);
      await back;
      await tell(lab, ['after']);
      await lab.relayed();
      await told.until(() => told.names.includes('after'));
      await told.stop();
      assert.deepEqual(told.names, [...series('kept', 200), ...series('waiting', 50), 'after']);
    },
  );
}
