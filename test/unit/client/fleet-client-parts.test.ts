import assert from 'node:assert/strict';
import { test } from 'node:test';

import { lifeOf } from '../../../src/client/fleet/grant.ts';
import { bitmapOf } from '../../../src/client/fleet/source-list.ts';
import { sentEvents, type SentEvent } from '../../../src/client/fleet/sse.ts';

test("a grant's life is what its own claims say, whatever this machine's clock says", () => {
  const claims = Buffer.from(JSON.stringify({ iat: 1_000, exp: 1_300 })).toString('base64url');
  assert.equal(lifeOf(`e30.${claims}.x`, '1970-01-01T00:00:00Z'), 300_000);
});

test('a token that says nothing is good until the time that came with it', () => {
  const life = lifeOf('opaque', new Date(Date.now() + 60_000).toISOString());
  assert.ok(life > 59_000 && life <= 60_000, String(life));
});

test('ranges of chunks become bits, as far as the file goes', () => {
  const bitmap = bitmapOf(
    [
      [0, 1],
      [4, 9],
    ],
    6,
  );
  assert.deepEqual(
    Array.from({ length: 6 }, (_, at) => bitmap.has(at)),
    [true, true, false, false, true, true],
  );
});

async function sent(...pieces: string[]): Promise<SentEvent[]> {
  const found: SentEvent[] = [];
  const body = (async function* () {
    for (const piece of pieces) yield Buffer.from(piece);
  })();
  for await (const each of sentEvents(body)) found.push(each);
  return found;
}

test('events of a stream are put together from whatever pieces they come in', async () => {
  const whole = 'retry: 1000\n: from 7\n\nid: 8\nevent: a\ndata: {"ü":1}\n\ndata: x\ndata: y\n\ndata: cut';
  const expected = [{ comment: 'from 7' }, { data: '{"ü":1}' }, { data: 'x\ny' }];
  assert.deepEqual(await sent(whole), expected);
  assert.deepEqual(await sent(...Array.from(whole)), expected);
  assert.deepEqual(await sent(whole.replaceAll('\n', '\r\n')), expected);
});
