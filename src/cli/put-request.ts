import type { UploadOptions } from '../client/upload/types.ts';
import { isFileName } from '../core/api/common.ts';
import { usage } from './usage.ts';

/** What commander hands over. */
export interface RawPutOptions {
  readonly name?: string;
  readonly replicas?: number;
  readonly zones?: number;
  readonly visibility?: 'everyone' | readonly string[];
  readonly replace?: true;
  readonly keep?: number;
  readonly interval: number;
  readonly json?: true;
  readonly quiet?: true;
}

/** A checked command line. */
export interface PutRequest {
  /** Paths; "-" is standard input. */
  readonly inputs: readonly string[];
  /** Of the one file, or what the names of a folder begin with. */
  readonly name: string | undefined;
  readonly upload: Pick<UploadOptions, 'replicas' | 'zones' | 'visibility' | 'replace' | 'keep'>;
  readonly print: 'progress' | 'json' | 'nothing';
  /** Seconds between reports where there is no terminal. */
  readonly interval: number;
}

/** @throws HeadwaterError `HW_USAGE` */
export function readPutRequest(words: readonly string[], raw: RawPutOptions): PutRequest {
  const { name, interval, json, quiet, ...upload } = raw;
  if (words.includes('-') && words.length > 1) throw usage('"-", standard input, is published by itself');
  if (words.includes('-') && name === undefined) throw usage('--name is missing: standard input has no name');
  if (name !== undefined && words.length > 1) throw usage('--name is for one file or one folder');
  if (name !== undefined && !isFileName(name)) {
    throw usage(
      `--name takes a path with / and without empty, "." or ".." parts or control characters; not ${JSON.stringify(name)}`,
    );
  }
  return {
    inputs: words,
    name,
    upload,
    interval,
    print: json === true ? 'json' : quiet === true ? 'nothing' : 'progress',
  };
}
