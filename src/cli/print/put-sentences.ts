import type { StoreEvent, UploadDoneEvent, UploadStartEvent } from '../../client/upload/types.ts';
import { count, rate, size, spell } from './amounts.ts';
import { oneLine } from './plain-text.ts';
import { sourceLabel } from './source-label.ts';

export function putStartSentence(event: UploadStartEvent): string {
  const { name, chunks, chunkSize, replicas, zones, servers } = event;
  const cut = chunks > 1 ? ` in ${count(chunks, 'chunk')} of ${size(chunkSize)}` : '';
  const copies = `${count(replicas, 'copy', 'copies')}${replicas > 1 && zones > 1 ? ` in up to ${count(zones, 'zone')}` : ''}`;
  return `${oneLine(name)}: ${size(event.size)}${cut}, ${copies}, to ${count(servers, 'server')}`;
}

export function putDoneSentence(event: UploadDoneEvent): string {
  const { name, size: all, seconds, bytesSent, bytesSkipped } = event;
  const had = bytesSkipped > 0 ? `, ${size(bytesSkipped)} the fleet had already` : '';
  const speed = seconds > 0 && all > 0 ? `, ${rate(all / seconds)}` : '';
  return `${oneLine(name)}: published, ${size(all)} in ${spell(seconds)}${speed}; ${size(bytesSent)} sent${had}`;
}

export function storeSentence({ id, url, name, zone, state, message, retryIn }: StoreEvent): string {
  const again = retryIn === undefined ? '' : `, asked again in ${spell(retryIn)}`;
  const why = message === undefined ? '' : `: ${message}`;
  return oneLine(`server ${id} ${sourceLabel({ url, name, zone }, Infinity)}: ${state}${again}${why}`);
}

export function readingSentence(bytes: number): string {
  return `reading, ${size(bytes)} so far`;
}
