import { ARIA2_ADVISED, ARIA2_LOOPBACK, aria2 } from '../commands.ts';
import type { Downloader } from '../download.ts';
import type { Scene } from '../scene.ts';
import { openWith } from './loopback.ts';

/**
 * Settings that could make aria2 faster, each one step from another, so that the rival is measured at its best.
 * Run only when it is named: `npm run bench -- --only aria2-settings`.
 */
export const aria2Settings: Scene = {
  id: 'aria2-settings',
  title: '1 GiB from three nginx on loopback to memory: settings of aria2',
  rows: ['aria2-settings'],
  tools: ['nginx', 'aria2c', 'time'],
  needsRoot: false,
  open: (context) => openWith(context, () => SETTINGS.map(downloader)),
};

const NO_ALLOCATION = '--file-allocation=none';
const PIECES_OF_8 = ['-k8M', '--piece-length=8M'];

const SETTINGS: readonly (readonly string[])[] = [
  [],
  ARIA2_ADVISED,
  ['-s3', '-x1', '-k1M', '--file-allocation=trunc'],
  ['-s3', '-x1', '-k1M', '--file-allocation=falloc'],
  ['-s3', '-x1', '-k1M', '--file-allocation=falloc', '--enable-mmap=true'],
  ['-s3', '-x1', '-k1M', NO_ALLOCATION, '--disk-cache=0'],
  ['-s3', '-x1', '-k1M', NO_ALLOCATION, '--disk-cache=64M'],
  ['-s6', '-x2', '-k1M', NO_ALLOCATION],
  ['-s16', '-x16', '-k1M', NO_ALLOCATION],
  ['-s3', '-x1', '-k4M', '--piece-length=4M', NO_ALLOCATION],
  ['-s3', '-x1', ...PIECES_OF_8, NO_ALLOCATION],
  ['-s3', '-x1', ...PIECES_OF_8, NO_ALLOCATION, '--disk-cache=64M'],
  ['-s3', '-x1', ...PIECES_OF_8, NO_ALLOCATION, '--stream-piece-selector=inorder'],
  ['-s6', '-x2', ...PIECES_OF_8, NO_ALLOCATION],
  ['-s3', '-x1', '-k64M', '--piece-length=64M', NO_ALLOCATION],
  ['-s3', '-x1', ...PIECES_OF_8, '--socket-recv-buffer-size=1M', NO_ALLOCATION],
  ARIA2_LOOPBACK,
  ['-s3', '-x1', ...PIECES_OF_8, '--socket-recv-buffer-size=16M', NO_ALLOCATION],
];

function downloader(options: readonly string[], index: number): Downloader {
  return {
    id: `aria2-${index}`,
    label: `aria2c ${options.join(' ')}`.trim(),
    rows: ['aria2-settings'],
    words: (job) => aria2(job, ...options),
  };
}
