import { dirname, join } from 'node:path';

/** The repository's root. */
export const ROOT = dirname(import.meta.dirname);

/** Words of a command line. */
export type Words = readonly string[];

/** What to fetch and where to. */
export interface Job {
  readonly urls: readonly string[];
  /** The output's path; its folder is there. */
  readonly output: string;
}

/** This program, as a checkout runs it on the repository's own Node. */
export function headwater(...words: string[]): Words {
  return [join(ROOT, 'bin', 'headwater'), ...words];
}

export function headwaterGet({ urls, output }: Job, ...options: string[]): Words {
  return headwater('get', ...urls, '-o', output, '-q', ...options);
}

/**
 * The fastest setting found for aria2 1.36 between loopback and tmpfs, over pieces of 1 to 64 MiB, one to sixteen
 * connections to a server, every kind of file allocation, disk caches of 0 to 64 MiB and receive buffers of 1 to
 * 16 MiB; docs/benchmark.md has the figures.
 */
export const ARIA2_LOOPBACK = [
  '-s3',
  '-x1',
  '-k8M',
  '--piece-length=8M',
  '--socket-recv-buffer-size=4M',
  '--file-allocation=none',
];

/** What guides to aria2 advise: a connection to each server, split into pieces of 1 MiB. */
export const ARIA2_ADVISED = ['-s3', '-x1', '-k1M', '--file-allocation=none'];

/** aria2 without the person's own settings and without a word on the terminal. */
export function aria2({ urls, output }: Job, ...options: string[]): Words {
  return ['aria2c', '--no-conf', '-q', ...options, '-d', dirname(output), '-o', nameOf(output), ...urls];
}

/** lftp's pget takes one URL: all its connections go to the first server. */
export function lftp({ urls, output }: Job, connections: number): Words {
  const script = `set cmd:fail-exit yes; pget -n ${connections} ${urls[0] ?? ''} -o ${output}`;
  return ['lftp', '--norc', '-c', script];
}

export function axel({ urls, output }: Job, connections: number): Words {
  return ['axel', '-q', '-n', String(connections), '-o', output, ...urls];
}

/** One connection to the first server. */
export function curl({ urls, output }: Job): Words {
  return ['curl', '-q', '-s', '-f', '-o', output, urls[0] ?? ''];
}

/**
 * A command line for readers: the program's name without its path, `URL1 URL2 …` for the sources, FILE for the output,
 * and whatever else `names` says.
 */
export function shown(words: Words, job: Job, names: Readonly<Record<string, string>> = {}): string {
  const replaced: [string, string][] = [
    ...Object.entries(names),
    ...job.urls.map((url, index): [string, string] => [url, `URL${index + 1}`]),
    ...outputNames(job.output),
  ];
  const ours = headwater();
  const plain = words.slice(0, ours.length).every((word, index) => word === ours[index])
    ? words.slice(ours.length)
    : words;
  const text = [...(plain === words ? [] : ['headwater']), ...plain]
    .map((word) => {
      let clean = word;
      // Longest first: one URL can begin another.
      for (const [from, to] of replaced.toSorted((a, b) => b[0].length - a[0].length)) {
        clean = clean.replaceAll(from, to);
      }
      return clean.includes(' ') ? `'${clean}'` : clean;
    })
    .join(' ');
  return text.replace(/URL1( URL\d+){4,}/, (all) => `URL1 … ${all.split(' ').at(-1) ?? ''}`);
}

/** Standard output is called as it is on every command line. */
function outputNames(output: string): [string, string][] {
  if (output === '-') return [];
  return [
    [output, 'FILE'],
    [dirname(output), 'FOLDER'],
  ];
}

function nameOf(path: string): string {
  return path.slice(dirname(path).length + 1);
}
