import type { FleetEvent } from '../core/api/events.ts';

/** What a stream of events is sent as: JSON in lines. */
export const EVENT_STREAM_TYPE = 'application/x-ndjson';
/** Milliseconds after which a stream says that it is still there. */
export const STREAM_IDLE = 5_000;
/** Milliseconds without a line after which a stream is lost: three signs of life. */
export const STREAM_LOST = 15_000;
/** Longest line read, characters: an event names at most some thousand things. */
const MOST_LINE = 1_000_000;

/** An event, or the position up to which there is no other. */
export type StreamLine = StreamedEvent | { readonly position: number; readonly id?: undefined };
/** An event as one file server is told it: whom else it is for is left out. */
export type StreamedEvent = Omit<FleetEvent, 'audience'>;

/**
 * The lines of a body. What is cut off at its end is left out.
 *
 * @throws Error for what is no such stream
 */
export async function* streamLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<StreamLine> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true });
    let from = 0;
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n', from)) {
      yield lineOf(rest.slice(from, end));
      from = end + 1;
    }
    rest = rest.slice(from);
    if (rest.length > MOST_LINE) throw new Error('a line of the stream of events is too long');
  }
}

function lineOf(text: string): StreamLine {
  const value = JSON.parse(text) as StreamLine;
  const isEvent = typeof value.id !== 'string' || 'kind' in value;
  if (!Number.isSafeInteger(value.position) || !isEvent) throw new Error('not a stream of events');
  return value;
}
