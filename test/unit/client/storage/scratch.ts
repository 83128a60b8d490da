import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

import { HeadwaterError, type ErrorCode } from '../../../../src/core/errors.ts';

/** A fresh folder that goes when the test ends. */
export async function scratchFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hw-storage-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Bytes that differ from position to position and from seed to seed, the same in every run. */
export function bytesAt(position: number, length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) {
    const at = position + i;
    bytes[i] = (at ^ (at >> 8) ^ (at >> 16) ^ (seed * 31)) & 255;
  }
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** For `assert.rejects`: an error of ours with this code whose message holds the text. */
export function failure(code: ErrorCode, text: string): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof HeadwaterError) || error.code !== code) throw error;
    if (!error.message.includes(text)) throw new Error(`"${error.message}" does not name ${text}`);
    return true;
  };
}
