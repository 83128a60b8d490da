import { setTimeout as sleep } from 'node:timers/promises';

import type { FileEntry } from '../../core/api/files.ts';
import type { UploadAnswer } from '../../core/api/uploads.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { MANIFEST_VERSION } from '../../core/manifest.ts';
import { MANIFEST_BINARY_TYPE, packManifest } from '../../core/manifest-binary.ts';
import type { FleetClient } from '../fleet/fleet-client.ts';
import { COMMIT_TIME, FIRST_PAUSE, MOST_PAUSE } from './limits.ts';
import type { LocalFile } from './local-file.ts';
import { Transmission } from './transmission.ts';
import type { UploadOptions, UploadReport, UploadSource } from './types.ts';
import { wholeDigest } from './cutting.ts';
import { inputName, openInput } from './upload-input.ts';
import { uploadSettings, type UploadSettings } from './upload-settings.ts';

/**
 * Publishes a file in a fleet: cuts it, sends each chunk that the fleet lacks to one server, which passes it on to the
 * others, and commits when every chunk has its copies. It is seen by nobody before that. Interrupted in whatever way, the
 * same call goes on: what the fleet has already is not sent again.
 *
 * @throws HeadwaterError `HW_CONFLICT` (the name is taken), `HW_INPUT_CHANGED`, `HW_NO_ROOM`, `HW_INTERRUPTED`, `HW_DISK`
 *   and others of the fleet
 */
export async function uploadToFleet(
  client: FleetClient,
  source: UploadSource,
  options: UploadOptions = {},
): Promise<UploadReport> {
  const settings = uploadSettings(options);
  const name = inputName(source, settings.name);
  const startedAt = performance.now();
  const file = await inputOf(source, settings);
  try {
    return await publish(client, file, name, settings, startedAt);
  } catch (error) {
    const same = await theSame(error, client, file, name, settings.signal);
    if (same === undefined) throw error;
    const seconds = (performance.now() - startedAt) / 1000;
    const { id, size, sha256 } = same;
    const report = { id, name, size, sha256, bytesSent: 0, bytesSkipped: size, seconds };
    settings.onEvent({ event: 'notice', message: `${name} is in the fleet already, the same to the byte` });
    settings.onEvent({ event: 'done', ...report });
    return report;
  } finally {
    await file.close();
  }
}

async function publish(
  client: FleetClient,
  file: LocalFile,
  name: string,
  settings: UploadSettings,
  startedAt: number,
): Promise<UploadReport> {
  const body = { name, ...settings.request };
  // A second one does no harm: nothing comes of it.
  const answer = await client.ask<UploadAnswer>('POST', 'v1/uploads', {
    body,
    signal: settings.signal,
    repeatable: true,
  });
  // Where to go on when this one is lost.
  void client.learnOthers(settings.signal).catch(() => undefined);
  await using transmission = new Transmission({ client, answer, name, file, settings, startedAt });
  const sha256 = await transmission.sendAll();
  const { id } = await commit(client, answer.id, file, settings, transmission, sha256);
  const report: UploadReport = {
    id,
    name,
    size: file.size,
    sha256,
    ...transmission.amounts,
    seconds: (performance.now() - startedAt) / 1000,
  };
  transmission.lastWord();
  settings.onEvent({ event: 'done', ...report });
  return report;
}

/**
 * The file that has the name already, where it is the very same: then everything is as it was to be. That is how many files
 * go on that were published up to the middle.
 */
async function theSame(
  error: unknown,
  client: FleetClient,
  file: LocalFile,
  name: string,
  signal: AbortSignal,
): Promise<FileEntry | undefined> {
  if (!(error instanceof HeadwaterError) || error.code !== 'HW_CONFLICT') return undefined;
  try {
    const other = await client.ask<FileEntry>('GET', 'v1/files/by-name', { query: { name }, signal });
    if (other.size !== file.size || other.sha256 !== (await wholeDigest(file, signal))) return undefined;
    await file.refuseChanged();
    return other;
  } catch (failure) {
    // It is not for this account to see, or gone by now.
    if (failure instanceof HeadwaterError && failure.remedy === 'other-source') return undefined;
    throw failure;
  }
}

async function inputOf(
  source: UploadSource,
  { signal, interval, onEvent }: UploadSettings,
): Promise<LocalFile> {
  let bytes = 0;
  let told = 0;
  const timer = setInterval(() => {
    if (bytes > told) onEvent({ event: 'reading', bytes });
    told = bytes;
  }, interval);
  try {
    return await openInput(source, signal, (now) => {
      bytes = now;
    });
  } finally {
    clearInterval(timer);
  }
}

/**
 * Publishes what was sent. What lacks copies still is sent again; while no information server is there, it waits.
 *
 * @throws HeadwaterError
 */
async function commit(
  client: FleetClient,
  upload: string,
  file: LocalFile,
  { signal }: UploadSettings,
  transmission: Transmission,
  sha256: string,
): Promise<FileEntry> {
  const { digests, layout } = transmission;
  const head = { version: MANIFEST_VERSION, size: file.size, chunkSize: layout.chunkSize, sha256 } as const;
  const data = packManifest(head, Buffer.from(digests.join(''), 'hex'));
  for (let pause = FIRST_PAUSE; ; pause = Math.min(MOST_PAUSE, pause * 2)) {
    await file.refuseChanged();
    try {
      return await client.ask<FileEntry>('POST', `v1/uploads/${upload}/commit`, {
        bytes: { type: MANIFEST_BINARY_TYPE, data },
        signal,
        wait: COMMIT_TIME,
        // The second time it answers as the first time.
        repeatable: true,
        patience: 0,
      });
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.remedy !== 'wait' || signal.aborted) throw error;
      const before = transmission.steps;
      if (error.code === 'HW_INCOMPLETE') await transmission.sendMissing(missingIn(error));
      else transmission.waits(error);
      if (transmission.steps > before + 1) pause = FIRST_PAUSE;
      await sleep(pause, undefined, { signal }).catch(() => {
        throw new HeadwaterError('HW_INTERRUPTED', 'stopped', { cause: signal.reason });
      });
    }
  }
}

/** Ranges of chunks, each [first, last]; undefined where the fleet does not say which. */
function missingIn({ details }: HeadwaterError): readonly (readonly [number, number])[] | undefined {
  const { missing } = details;
  if (!Array.isArray(missing)) return undefined;
  return missing.filter(
    (each): each is [number, number] =>
      Array.isArray(each) && each.length === 2 && each.every((index) => Number.isSafeInteger(index)),
  );
}
