// Takes or gives up locks as it is told on standard input: "take PATH" answers "taken" or "busy PID"; "release".
import { createInterface } from 'node:readline';

import { acquireLock, FileLock } from '../../../../src/client/storage/lock.ts';

let held: FileLock | undefined;
for await (const line of createInterface(process.stdin)) {
  const [order, path = ''] = line.split(' ');
  if (order === 'release') {
    await held?.release();
    held = undefined;
    process.stdout.write('released\n');
    continue;
  }
  const lock = await acquireLock(path);
  if (lock instanceof FileLock) held = lock;
  process.stdout.write(lock instanceof FileLock ? 'taken\n' : `busy ${lock.heldBy.pid}\n`);
}
