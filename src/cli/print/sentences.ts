import type { NoticeEvent, SourceEvent, StartEvent, Verification } from '../../client/types.ts';
import { count, size, spell } from './amounts.ts';
import { oneLine } from './plain-text.ts';
import { sourceLabel } from './source-label.ts';

/** What will be checked, as the end of a sentence. */
const WILL_VERIFY: Record<Verification, string> = {
  chunks: 'every chunk is verified as it lands',
  sha256: 'the whole is verified against its SHA-256',
  none: 'no digest is known, so nothing can be verified',
};

export function startSentence(event: StartEvent, sources: number): string {
  const { output, chunks, chunkSize, resumedBytes } = event;
  const to = output === '-' ? 'standard output' : oneLine(output);
  const cut = chunks > 1 ? ` in ${count(chunks, 'chunk')} of ${size(chunkSize)}` : '';
  const resumed = resumedBytes > 0 ? `; ${size(resumedBytes)} are here already` : '';
  // A source that does not say how long the file is gives nothing to cut either.
  const amount = chunkSize === 0 ? 'nobody says how much' : size(event.size);
  return `${to}: ${amount}${cut} from ${count(sources, 'source')}${resumed}; ${WILL_VERIFY[event.verification]}`;
}

export function sourceSentence({ id, url, name, zone, state, message, code, retryIn }: SourceEvent): string {
  const why = message ?? code ?? '';
  const again = retryIn === undefined ? '' : `, asked again in ${spell(retryIn)}`;
  // Most messages name the server themselves.
  const own =
    name === undefined ? url : sourceLabel({ url, name, ...(zone !== undefined && { zone }) }, Infinity);
  const which = why.includes(name ?? hostOf(url)) ? '' : ` ${own}`;
  return oneLine(`source ${id}${which}: ${state}${again}${why === '' ? '' : `: ${why}`}`);
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}

export function noticeSentence({ message }: NoticeEvent): string {
  return `note: ${oneLine(message)}`;
}
