import type { Validators } from './answer.ts';
import type { Introduction } from './source.ts';

/**
 * What the caller says of a source that was not asked who it is. What else is to stay as it is, is learnt from its first
 * answer.
 */
export class Vouched implements Introduction {
  readonly size: number;
  readonly ranges: boolean;
  readonly sha256 = undefined;
  readonly manifest = undefined;
  readonly name = undefined;
  etag: string | undefined;
  lastModified: string | undefined;
  /** It has answered. */
  heard = false;

  constructor(size: number, ranges = true) {
    this.size = size;
    this.ranges = ranges;
  }

  hear(first: Validators): void {
    this.heard = true;
    this.etag = first.etag;
    this.lastModified = first.lastModified;
  }
}

/** The same source, which turned out to answer no ranges. */
export function withoutRanges(introduction: Introduction): Introduction {
  if (introduction instanceof Vouched) return new Vouched(introduction.size, false);
  return { ...introduction, ranges: false };
}
