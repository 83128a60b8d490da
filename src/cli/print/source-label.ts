import { oneLine } from './plain-text.ts';
import { shortUrl } from './short-url.ts';

/**
 * What people tell a source by, in at most `width` columns: the server's name and zone in a fleet, elsewhere its URL.
 *
 * @param cut one character that stands where something was left out
 */
export function sourceLabel(
  { url, name, zone }: { readonly url: string; readonly name?: string; readonly zone?: string },
  width: number,
  cut = '…',
): string {
  if (name === undefined) return shortUrl(url, width, cut);
  const whole = oneLine(zone === undefined ? name : `${name} (${zone})`);
  return whole.length <= width ? whole : `${whole.slice(0, Math.max(0, width - 1))}${cut}`;
}
