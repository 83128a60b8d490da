import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import { shown, type Job, type Words } from './commands.ts';
import { digestOf, type Content } from './content.ts';
import { measure, type MeasureSettings } from './measure.ts';
import type { Sample } from './results.ts';
import type { RowId } from './rows/ids.ts';
import type { BenchContext, Contestant } from './scene.ts';

/** A program that fetches a file. */
export interface Downloader {
  readonly id: string;
  readonly label: string;
  readonly rows: readonly RowId[];
  readonly ours?: boolean;
  readonly mostRounds?: number;
  /** The command line; the digest and the manifest are those of the content. */
  readonly words: (job: Job) => Words;
}

export interface DownloadSettings extends MeasureSettings {
  readonly content: Content;
  readonly job: Job;
  /** Memory touched before each run, bytes. Default 0; see `Workspace.touchMemory`. */
  readonly touch?: number;
  /** Makes the servers ready for a run. */
  readonly before?: () => Promise<void>;
}

/**
 * A contestant that downloads: the output's folder is emptied, the run is measured, and the digest of what came out
 * is checked after the clock has stopped.
 */
export function downloading(
  context: BenchContext,
  downloader: Downloader,
  settings: DownloadSettings,
): Contestant {
  const { id, label, rows, words, mostRounds, ours = false } = downloader;
  const { content, job, touch = 0, before } = settings;
  const command = words(job);
  const run = async (round: number): Promise<Sample> => {
    await rm(dirname(job.output), { recursive: true, force: true });
    await mkdir(dirname(job.output), { recursive: true });
    await before?.();
    if (touch > 0) await context.workspace.touchMemory(touch);
    const measured = await measure(context, command, settings);
    const sample = { round, ...measured, bytes: content.size };
    if (measured.failed === undefined && (await digestOf(job.output)) !== content.sha256)
      return { ...sample, failed: 'the file that came out is not the one that was served' };
    await rm(dirname(job.output), { recursive: true, force: true });
    return sample;
  };
  const names = { [content.sha256]: 'DIGEST', [content.manifest]: 'MANIFEST' };
  return {
    id,
    label,
    rows,
    ours,
    command: shown(command, job, names),
    ...(mostRounds === undefined ? {} : { mostRounds }),
    run,
  };
}
