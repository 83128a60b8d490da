import type { Bitmap } from '../core/bitmap.ts';

/** Header fields, or what gives them: a function is asked anew for every request, so that credentials can change. */
export type HeaderFields = Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>);

/** A source, with what its caller knows of it. */
export interface SourceSpec {
  /** `http:` or `https:`. */
  readonly url: string | URL;
  /**
   * What tells this source from the others of one download, and finds it again in a later list of a feed: the fleet's id
   * of the server. Default: the URL.
   */
  readonly id?: string;
  /** What people call it; told in events and reports. */
  readonly name?: string;
  /** Where it is; told in events and reports. */
  readonly zone?: string;
  /** Sent with every request to this source's own host, besides and before those of the options. */
  readonly headers?: HeaderFields;
  /**
   * Chunks that it holds; copied. Default: all. Needs `manifest` given as a value, since a chunk is one of that manifest's.
   */
  readonly has?: Bitmap;
  /**
   * It is not asked for anything new, what it sends goes on: true, or why (such as "draining"), for the person. It is asked
   * again when a later list of the feed says nothing of it any more. Default false.
   */
  readonly paused?: boolean | string;
  /**
   * The caller vouches that it holds the file of `manifest` and answers ranges: it is asked for chunks at once, not who it
   * is first. Where it redirects, that is followed. Needs `manifest` given as a value. Default false.
   */
  readonly known?: boolean;
}

/**
 * Sources that change while a download runs. Each list that it gives replaces the one before, the sources given to
 * `download` being the first:
 *
 * - a source that was in no list joins the download and gets work at once;
 * - one that is in the list no more is given up at once, with what it has under way; it is back when a later list has it;
 * - `paused`, `has`, `headers`, `name` and `zone` are taken over from the newest list; with another `url`, what has the id
 *   is another source.
 *
 * A list may come twice, or be the same as the last; nothing depends on seeing each. What was banned for what it sent stays
 * banned; what was banned for another reason is tried again when it comes back.
 *
 * As long as it goes on, a download whose sources are all away, or hold none of what is missing, waits for it. When it ends
 * there will be no change any more; when it fails, the same, and the person is told. A list with a malformed source is
 * such a failure.
 *
 * @param signal fires when the download is over; then it must end
 */
export type SourceFeed = (signal: AbortSignal) => AsyncIterable<readonly SourceSpec[]>;

/** A source sent a chunk that does not match its digest in the manifest. The source is banned for this download. */
export interface BadChunk {
  /** As it was given. */
  readonly source: SourceSpec;
  readonly chunk: number;
  /** Digest that the manifest has for the chunk, not of what was sent. */
  readonly sha256: string;
}
