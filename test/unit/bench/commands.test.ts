import assert from 'node:assert/strict';
import { test } from 'node:test';

import { aria2, headwaterGet, shown } from '../../../bench/commands.ts';

const urls = ['http://127.0.0.1:1/file', 'http://127.0.0.1:2/file'];

test('a command line is shown without the paths of the machine', () => {
  const job = { urls, output: '/dev/shm/x/output/file' };
  assert.equal(
    shown(headwaterGet(job, '--manifest', '/dev/shm/x/m'), job, { '/dev/shm/x/m': 'MANIFEST' }),
    'headwater get URL1 URL2 -o FILE -q --manifest MANIFEST',
  );
  assert.equal(shown(aria2(job, '-s2'), job), 'aria2c --no-conf -q -s2 -d FOLDER -o file URL1 URL2');
});

test('standard output is shown as it is called', () => {
  const job = { urls, output: '-' };
  assert.equal(
    shown(headwaterGet(job, '--manifest', 'm'), job),
    'headwater get URL1 URL2 -o - -q --manifest m',
  );
});
