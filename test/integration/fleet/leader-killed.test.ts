import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { connect, type DownloadReport } from '../../../src/index.ts';
import type { DatabaseKind } from '../../../src/database/database.ts';
import { makeDatabase, withoutPostgres } from '../../unit/database/each-database.ts';
import { EMAIL, PASSWORD, Place, until } from './up-process.ts';

const MIB = 1024 * 1024;
const SIZE = 4 * MIB;
const DOWNLOADS = 20;
/** Milliseconds after the death of a leader within which there is another one. */
const TAKEOVER = 6_000;

for (const [kind, skip] of [
  ['sqlite', false],
  ['postgresql', withoutPostgres],
] as const) {
  describe(
    `20 downloads whose leader is lost, on ${kind}`,
    { concurrency: 1, timeout: 180_000, skip },
    () => {
      for (const how of ['SIGKILL', 'SIGSTOP'] as const) {
        test(`by ${how}: another leads within 6 s, and no download notices`, async (t) => {
          // Before the place is, whose end waits for what it has started.
          let stopped: number | undefined;
          t.after(() => stopped !== undefined && process.kill(stopped, 'SIGCONT'));
          await using database = await databaseFor(kind);
          const place = await Place.make(t, database.where);
          const bytes = await place.file('big.bin', 7, SIZE);
          const args = ['--servers', '2', '--information-servers', '3', '--folder', place.files];
          const up = place.up([...args, '--limit', '4M']);
          const { informationServers } = await up.ready();
          const leader = informationServers.find((each) => each.leader);
          assert.ok(leader?.pid !== undefined);
          const addresses = informationServers.map(({ url }) => url);
          await using fleet = await connect(addresses, { email: EMAIL, password: PASSWORD });
          await until(async () => (await fleet.servers()).every(({ files }) => files === 1));

          let begun = 0;
          const half = Promise.withResolvers<void>();
          const downloads = Array.from({ length: DOWNLOADS }, (_, index) => {
            let told = false;
            return fleet.download('big.bin', {
              output: join(place.folder, `out-${index}.bin`),
              onEvent: (event) => {
                if (told || event.event !== 'progress' || event.bytes < SIZE / 8) return;
                told = true;
                begun += 1;
                if (begun === DOWNLOADS) half.resolve();
              },
            });
          });
          await Promise.race([half.promise, Promise.all(downloads)]);
          assert.equal(begun, DOWNLOADS, 'all were under way');
          const { pid } = leader;
          process.kill(pid, how);
          stopped = how === 'SIGSTOP' ? pid : undefined;
          const lost = performance.now();
          await until(() => leads(addresses, stopped === undefined ? undefined : leader.url));
          assert.ok(performance.now() - lost < TAKEOVER, `it took ${performance.now() - lost} ms`);
          const reports = await Promise.all(downloads);
          for (const report of reports) unnoticed(report);
          for (let index = 0; index < DOWNLOADS; index++) {
            const got = await readFile(join(place.folder, `out-${index}.bin`));
            assert.ok(got.equals(bytes), `file ${index} is wrong`);
          }
          if (stopped !== undefined) process.kill(stopped, 'SIGCONT');
          stopped = undefined;
          // The fleet is whole: what was asked of the lost one is asked of the others.
          await until(async () => (await fleet.servers()).every(({ state }) => state === 'running'));
        });
      }
    },
  );
}

/** Whether another leads than the one that was lost, and nobody besides. Its address can be a new process's by now. */
async function leads(urls: readonly string[], lost: string | undefined): Promise<boolean> {
  const all = await Promise.all(
    urls.map(async (url) => {
      if (url === lost) return false;
      const answer = await fetch(`${url}/readyz`).catch(() => undefined);
      return ((await answer?.json()) as { leader: boolean } | undefined)?.leader ?? false;
    }),
  );
  const leaders = all.filter(Boolean).length;
  assert.ok(leaders <= 1, 'two lead');
  return leaders === 1;
}

/** Every byte came once, from servers that never failed. */
function unnoticed(report: DownloadReport): void {
  assert.equal(report.sources.length, 2);
  for (const source of report.sources) assert.equal(source.failures, 0, JSON.stringify(source));
}

async function databaseFor(kind: DatabaseKind): Promise<AsyncDisposable & { readonly where?: string }> {
  return kind === 'postgresql' ? makeDatabase(kind) : { [Symbol.asyncDispose]: async () => undefined };
}
