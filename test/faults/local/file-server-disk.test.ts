import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { FileServerProgram, StandInFleet } from '../../integration/file-server-lab.ts';
import { Files, until } from '../../integration/serve-lab.ts';
import { asRoot, Mounted } from './mounted.ts';

test(
  'a file server whose data folder is full serves on, says so, and catches up when there is room',
  asRoot,
  async () => {
    await using fleet = await StandInFleet.start();
    await using files = await Files.of({ 'a.txt': 'a' });
    await using disk = await Mounted.with('size=8m');
    await using server = await FileServerProgram.start([fleet.url], files.folder, { data: disk.folder });
    await until(() => fleet.names.length === 1);
    const { path, token, id } = fleet.grant('a.txt');
    const filler = join(disk.folder, 'filler');
    await assert.rejects(writeFile(filler, Buffer.alloc(16 * 1024 * 1024)));
    for (let index = 0; index < 300; index++) await files.write(`f${index}`, `${index}`);
    await server.event('fault', ({ code }) => code === 'HW_DISK_FULL');
    assert.equal((await server.ask(path, token)).body.toString(), 'a');
    // A revocation counts at once, even where it cannot be written down.
    fleet.event('grant.revoked', { grant: id, expiresAt: new Date(Date.now() + 300_000).toISOString() });
    await until(async () => (await server.ask(path, token)).status === 403);
    await rm(filler);
    await until(() => fleet.names.length === 301, 60_000);
    assert.equal(server.program.process.exitCode, null);
  },
);
