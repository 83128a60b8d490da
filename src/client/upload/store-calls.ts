import type { Dispatcher } from 'undici';

import type { ChunkStored } from '../../core/api/uploads.ts';
import { Bitmap } from '../../core/bitmap.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { answeredError, readAnswer, silenceError, valueOf } from '../fleet/answers.ts';
import type { Buffers } from './buffers.ts';
import { CHECK_TIME, SEND_BYTES, SEND_STALL, STORED_TIME } from './limits.ts';
import type { LocalFile } from './local-file.ts';

/** How a file server is reached. */
export interface StoreAccess {
  readonly url: URL;
  readonly dispatcher: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Which of the chunks a server has. @throws HeadwaterError */
export async function askForChunks(access: StoreAccess, digests: readonly string[]): Promise<Bitmap> {
  const { headers, signal } = access;
  const value = await exchange(access, 'v1/chunks/check', {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ digests }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(CHECK_TIME)]),
  });
  const { has } = (value ?? {}) as { readonly has?: unknown };
  const bytes = Buffer.from(typeof has === 'string' ? has : '', 'base64');
  if (bytes.length !== Math.ceil(digests.length / 8)) {
    throw new HeadwaterError('HW_PROTOCOL', `${access.url.host} does not say which chunks it has`);
  }
  return new Bitmap(digests.length, bytes);
}

/** A chunk on its way. */
export interface SentPiece {
  readonly file: LocalFile;
  readonly digest: string;
  readonly start: number;
  readonly end: number;
  /** Ids of the servers that it is passed on to. */
  readonly next: readonly string[];
  /** Milliseconds after which it has taken too long. */
  readonly patience: number;
  readonly buffers: Buffers;
  readonly onBytes: (bytes: number) => void;
}

/**
 * Sends a chunk to a server, which passes it on.
 *
 * @returns who has it now
 * @throws HeadwaterError what the server says; `HW_SILENT` when it takes no bytes; `HW_INPUT_CHANGED`, `HW_DISK`
 */
export async function sendChunk(access: StoreAccess, piece: SentPiece): Promise<ChunkStored> {
  const { headers, signal } = access;
  const { digest, start, end, next, buffers, patience } = piece;
  const late = new AbortController();
  const stalled = (): void => late.abort(new DOMException('it takes no bytes', 'TimeoutError'));
  let timer = setTimeout(stalled, SEND_STALL);
  const slow = patience === Infinity ? undefined : setTimeout(stalled, patience);
  const watch = (milliseconds: number): void => {
    clearTimeout(timer);
    timer = setTimeout(stalled, milliseconds);
  };
  const lent = [buffers.take(), buffers.take()];
  const watched = { ...piece, onTaken: (last: boolean) => watch(last ? STORED_TIME : SEND_STALL) };
  const query = next.length === 0 ? '' : `?next=${next.join(',')}`;
  try {
    const value = await exchange(access, `v1/chunks/${digest}${query}`, {
      method: 'PUT',
      headers: {
        ...headers,
        'content-type': 'application/octet-stream',
        'content-length': String(end - start),
      },
      // undici takes an async iterable, and asks for the next part when the one before is with the system; its types do not
      // say so. That is what lets the parts be read into the same memory again.
      body: parts(watched, lent) as unknown as Uint8Array,
      signal: AbortSignal.any([signal, late.signal]),
    });
    const stored = storedIn(value);
    if (stored === undefined) {
      throw new HeadwaterError('HW_PROTOCOL', `${access.url.host} does not say who has the chunk`);
    }
    buffers.giveBack(lent);
    return stored;
  } finally {
    // Where it failed the memory may still be read from: it is not used again.
    clearTimeout(timer);
    clearTimeout(slow);
  }
}

/** The next part is read while the one before it is taken. */
async function* parts(
  { file, start, end, onBytes, onTaken }: SentPiece & { readonly onTaken: (last: boolean) => void },
  lent: readonly Buffer[],
): AsyncGenerator<Buffer> {
  const read = async (from: number, turn: number): Promise<Buffer> => {
    const part = (lent[turn % lent.length] as Buffer).subarray(0, Math.min(SEND_BYTES, end - from));
    await file.read(part, from);
    return part;
  };
  let coming = read(start, 0);
  for (let from = start, turn = 1; from < end; turn++) {
    const part = await coming;
    from += part.length;
    if (from < end) {
      coming = read(from, turn);
      // Awaited in its turn, unless nobody asks for it any more.
      coming.catch(() => undefined);
    }
    yield part;
    onBytes(part.length);
    onTaken(from >= end);
  }
}

type Request = Omit<Dispatcher.RequestOptions, 'origin' | 'path' | 'headersTimeout' | 'bodyTimeout'>;

async function exchange(
  { url, dispatcher, signal }: StoreAccess,
  path: string,
  request: Request,
): Promise<unknown> {
  const whole = new URL(path, url);
  try {
    const raw = await dispatcher.request({
      ...request,
      origin: whole.origin,
      path: whole.pathname + whole.search,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const answer = { status: raw.statusCode, headers: raw.headers, body: raw.body };
    const text = await readAnswer(answer, url);
    if (answer.status >= 300) throw answeredError(answer, text, url);
    return valueOf(text, url);
  } catch (cause) {
    if (signal.aborted) throw new HeadwaterError('HW_INTERRUPTED', 'stopped', { cause: signal.reason });
    if (cause instanceof HeadwaterError) throw cause;
    throw silenceError(cause, url).error;
  }
}

function storedIn(value: unknown): ChunkStored | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { stored, failed } = value as Partial<ChunkStored>;
  return Array.isArray(stored) && Array.isArray(failed) ? { stored, failed } : undefined;
}
