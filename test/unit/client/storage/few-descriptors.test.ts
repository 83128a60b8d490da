import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { JournalFile } from '../../../../src/client/storage/journal-file.ts';
import { JournalKeeper } from '../../../../src/client/storage/journal-keeper.ts';
import { decodeJournal } from '../../../../src/client/storage/journal.ts';
import { Bitmap } from '../../../../src/core/bitmap.ts';
import { HeadwaterError } from '../../../../src/core/errors.ts';
import { scratchFolder } from './scratch.ts';

/** A journal for which there is no descriptor, the first times that a new one is to be written. */
class Short extends JournalFile {
  missing = 1;

  override async replace(...args: Parameters<JournalFile['replace']>): Promise<void> {
    if (this.missing-- > 0)
      throw new HeadwaterError('HW_DISK', 'too many files are open', {
        cause: Object.assign(new Error('EMFILE'), { code: 'EMFILE' }),
      });
    await super.replace(...args);
  }
}

test('want of a descriptor for the next journal is no failure: it is written when there is one', async (t) => {
  const done = new Bitmap(10);
  const said = { identity: { size: 10 }, chunkSize: 1, boot: 'boot', extra: {} };
  const file = new Short(join(await scratchFolder(t), 'journal'));
  const safe = new Bitmap(10);
  const keeper = new JournalKeeper({ file, done, safe, describe: () => said, sync: async () => {} });
  t.after(async () => {
    await keeper.stop({ keep: false });
    await file.close();
  });
  done.add(3);
  keeper.added(3);
  const written = async (): Promise<boolean> => {
    try {
      return decodeJournal(await readFile(file.path))?.done.has(3) === true;
    } catch {
      return false;
    }
  };
  while (!(await written())) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(keeper.failure, undefined);
  assert.equal(file.missing, -1);
});
