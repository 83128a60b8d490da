import type { DoneEvent, ProgressEvent, SourceProgress, StartEvent } from '../../../../src/client/types.ts';

const MIB = 1024 * 1024;

/** A download of 100 MiB from `count` sources, recorded at half of the way; each test changes what it is about. */
export function start(change: Partial<StartEvent> = {}): StartEvent {
  return {
    event: 'start',
    output: 'big.iso',
    size: 100 * MIB,
    chunkSize: MIB,
    chunks: 100,
    resumedBytes: 0,
    verification: 'chunks',
    ...change,
  };
}

export function source(id: number, change: Partial<SourceProgress> = {}): SourceProgress {
  const url = urls(id)[id - 1] ?? '';
  return { id, url, state: 'running', bytes: MIB, share: 0.25, rate: 3 * MIB, connections: 2, ...change };
}

export function progress(count: number, change: Partial<ProgressEvent> = {}): ProgressEvent {
  return {
    event: 'progress',
    seconds: 5,
    bytes: 50 * MIB,
    size: 100 * MIB,
    rate: 10 * MIB,
    secondsLeft: 5,
    sources: Array.from({ length: count }, (_, at) => source(at + 1)),
    ...change,
  };
}

export function done(change: Partial<DoneEvent> = {}): DoneEvent {
  return {
    event: 'done',
    output: 'big.iso',
    size: 100 * MIB,
    seconds: 10,
    rate: 10 * MIB,
    verified: 'chunks',
    sha256: 'ab'.repeat(32),
    resumedBytes: 0,
    wastedBytes: 0,
    tailSeconds: 0.1,
    sources: [
      {
        id: 1,
        url: 'http://mirror1.example.org/pub/big.iso',
        bytes: 100 * MIB,
        share: 1,
        rate: 10 * MIB,
        connections: 2,
        failures: 0,
        badChunks: 0,
      },
    ],
    ...change,
  };
}

export function urls(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `http://mirror${at + 1}.example.org/pub/big.iso`);
}
