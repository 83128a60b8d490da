/** One event of a server-sent stream (HTML Living Standard, 9.2), or a comment in it. */
export type SentEvent = { readonly data: string } | { readonly comment: string };

/** Longest line that is kept, characters; a longer one is no event of ours. */
const MOST_LINE = 1_000_000;

/** The events and comments in a body, in order; what is cut off at the end is left out. */
export async function* sentEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<SentEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let data: string[] = [];
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true });
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = (lines.pop() ?? '').slice(-MOST_LINE);
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { data: data.join('\n') };
        data = [];
        continue;
      }
      const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (name === 'data') data.push(value);
      else if (name === '') yield { comment: value };
    }
  }
}
