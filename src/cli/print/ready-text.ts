import type { ReadyEvent } from '../../file-server/serve-types.ts';
import { pathOfName } from '../../file-server/request-name.ts';
import { count } from './amounts.ts';
import { oneLine } from './plain-text.ts';

/** Names and servers that are spelled out; more would push the table off the screen. */
const MOST_NAMES = 3;
const MOST_URLS = 8;

/** What is served now, and the command that gets it. */
export function readyText({ names, servers, control }: ReadyEvent): string {
  const lines = [`Serving ${count(names.length, 'file')} from ${count(servers.length, 'server')}.`];
  for (const name of names.slice(0, MOST_NAMES)) {
    const path = pathOfName(name).slice(1);
    const urls = servers.slice(0, MOST_URLS).map(({ url }) => url + path);
    lines.push(`  headwater get ${urls.map(quoted).join(' ')}`);
  }
  if (names.length > MOST_NAMES) {
    lines.push(
      `  … and ${count(names.length - MOST_NAMES, 'more', 'more')}: ${servers[0]?.url ?? ''} lists them`,
    );
  }
  if (control !== undefined) lines.push(`Control: ${control}v1/servers`);
  return lines.map(oneLine).join('\n');
}

/** As a shell takes it: the only character left in a URL that could end the quotes is the apostrophe. */
function quoted(url: string): string {
  return /[^\w./:%~@+=-]/.test(url) ? `'${url.replaceAll("'", '%27')}'` : url;
}
