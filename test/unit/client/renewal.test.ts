import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Renewal } from '../../../src/client/renewal.ts';

/** A refresh whose answers a test gives. */
class Refresh {
  readonly asked: PromiseWithResolvers<boolean>[] = [];
  readonly errors: unknown[] = [];
  readonly renewal = new Renewal(
    () => {
      const asked = Promise.withResolvers<boolean>();
      this.asked.push(asked);
      return asked.promise;
    },
    (error) => this.errors.push(error),
  );
}

describe('credentials that have expired', () => {
  test('are renewed once for all who ask meanwhile', async () => {
    const { renewal, asked } = new Refresh();
    const both = [renewal.renew(performance.now()), renewal.renew(performance.now())];
    asked[0]?.resolve(true);
    assert.deepEqual(await Promise.all(both), [true, true]);
    assert.equal(asked.length, 1);
  });

  test('are not renewed for a question that was asked with the old ones', async () => {
    const { renewal, asked } = new Refresh();
    const before = performance.now();
    const first = renewal.renew(before);
    asked[0]?.resolve(true);
    await first;
    assert.equal(await renewal.renew(before), true);
    assert.equal(asked.length, 1);
  });

  test('are renewed again when the new ones are refused', async () => {
    const { renewal, asked } = new Refresh();
    const first = renewal.renew(performance.now());
    asked[0]?.resolve(true);
    await first;
    const second = renewal.renew(performance.now() + 1);
    asked[1]?.resolve(false);
    assert.equal(await second, false);
    assert.equal(asked.length, 2);
  });

  test('are none where the caller throws, and that is told', async () => {
    const { renewal, asked, errors } = new Refresh();
    const away = new Error('away');
    const renewed = renewal.renew(performance.now());
    asked[0]?.reject(away);
    assert.equal(await renewed, false);
    assert.deepEqual(errors, [away]);
    const next = renewal.renew(performance.now());
    asked[1]?.resolve(true);
    assert.equal(await next, true);
  });

  test('are none where the caller has no way to renew them', async () => {
    const renewal = new Renewal(undefined, () => assert.fail());
    assert.equal(await renewal.renew(0), false);
  });
});
