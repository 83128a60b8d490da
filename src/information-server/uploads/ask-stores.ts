import { CheckAnswer, MOST_CHECKED } from '../../core/api/uploads.ts';
import type { Context } from '../context.ts';
import { CHECKS_AT_ONCE, CHECK_TIMEOUT, MOST_CHECK_ANSWER } from './limits.ts';
import { ownTokenOf } from './upload-tokens.ts';

/** A question to one file server: which of these chunks it has. */
export interface Question {
  readonly server: { readonly number: number; readonly name: string; readonly url: string };
  readonly digests: readonly string[];
}

/** What came of the question at the same place: which of the digests are there; undefined: no good answer. */
export type Found = Uint8Array | undefined;

/** Asks file servers which chunks they have, some at a time. One that does not answer holds nobody up for long. */
export async function askStores(context: Context, questions: readonly Question[]): Promise<Found[]> {
  const found: Found[] = questions.map(() => undefined);
  const parts = questions.flatMap(({ server, digests }, index) => {
    const bits = new Uint8Array(Math.ceil(digests.length / 8));
    const slices: {
      index: number;
      from: number;
      digests: readonly string[];
      bits: Uint8Array;
      server: typeof server;
    }[] = [];
    for (let from = 0; from < digests.length; from += MOST_CHECKED) {
      slices.push({ index, from, digests: digests.slice(from, from + MOST_CHECKED), bits, server });
    }
    return slices;
  });
  const failed = new Set<number>();
  let next = 0;
  const work = async (): Promise<void> => {
    for (;;) {
      const part = parts[next++];
      if (part === undefined) return;
      const { index, from, digests, bits, server } = part;
      if (failed.has(index)) continue;
      try {
        // Slices begin at whole bytes: 10,000 is a multiple of 8.
        bits.set(await askOne(context, server.url, digests), from / 8);
        found[index] = bits;
      } catch (error) {
        failed.add(index);
        context.log.warn(
          { err: error, server: server.name },
          'a file server does not say which chunks it has',
        );
      }
    }
  };
  await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, work));
  for (const index of failed) found[index] = undefined;
  return found;
}

async function askOne(context: Context, url: string, digests: readonly string[]): Promise<Uint8Array> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(CHECK_TIMEOUT * 1000)]);
  const response = await fetch(`${url.replace(/\/+$/, '')}/v1/chunks/check`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await ownTokenOf(context).get()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ digests }),
    redirect: 'error',
    signal,
  });
  const text = await readText(response);
  if (response.status !== 200) throw new Error(`${url} answers ${response.status}: ${text.slice(0, 200)}`);
  const answer = CheckAnswer.parse(JSON.parse(text));
  const bits = Buffer.from(answer.has, 'base64');
  const wanted = Math.ceil(digests.length / 8);
  if (bits.length !== wanted)
    throw new Error(`${url} answers with ${bits.length} bytes of bits, not ${wanted}`);
  return bits;
}

async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  if (response.body === null) return '';
  for await (const part of response.body) {
    length += part.length;
    if (length > MOST_CHECK_ANSWER)
      throw new Error(`${response.url} answers with more than ${MOST_CHECK_ANSWER} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
