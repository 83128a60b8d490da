/** One event of a server-sent stream (HTML Living Standard, 9.2). */
export interface SentEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: string;
}

/** Longest line that is kept, characters; a longer one is no event of ours. */
const MOST_LINE = 1_000_000;

/** The events in a body, in order; comments and what is cut off at the end are left out. */
export async function* sentEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<SentEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let fields: { id?: string; event?: string; data: string[] } = { data: [] };
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true });
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = (lines.pop() ?? '').slice(-MOST_LINE);
    for (const line of lines) {
      if (line === '') {
        if (fields.data.length > 0)
          yield { id: fields.id, event: fields.event ?? 'message', data: fields.data.join('\n') };
        fields = { data: [] };
        continue;
      }
      const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (name === 'data') fields.data.push(value);
      else if (name === 'id') fields.id = value;
      else if (name === 'event') fields.event = value;
    }
  }
}
