import type { HashingState } from '../../file-server/digests/digest-service.ts';
import type { ServerState, ServerStatus } from '../../file-server/serve-types.ts';
import { count, percentDone, rate, size } from './amounts.ts';
import type { Paint, Style } from './paint.ts';

const STATE_STYLE: Record<ServerState, Style> = {
  running: 'green',
  paused: 'yellow',
  ending: 'yellow',
  ended: 'dim',
  failed: 'red',
};
const STATE_WIDTH = 7;
const CLIENTS_WIDTH = 7;
const SENT_WIDTH = 10;
const RATE_WIDTH = 12;
/** Columns that a server's URL gets where nothing limits them. */
const MOST_URL_WIDTH = 40;

export interface TableSettings {
  /** Columns and rows of the terminal. */
  readonly columns: number;
  readonly rows: number;
  readonly unicode: boolean;
  readonly paint: Paint;
}

/**
 * The servers as a table, laid out for 60 columns or more: as many as fit, and what the others do in one line. No line
 * is as wide as the terminal, so that none wraps.
 */
export function serverTable(
  servers: readonly ServerStatus[],
  hashing: HashingState | undefined,
  settings: TableSettings,
): string[] {
  const { columns, rows, unicode, paint } = settings;
  const idWidth = String(servers.at(-1)?.id ?? 1).length;
  const fixed = 2 + idWidth + 2 + 2 + STATE_WIDTH + 2 + CLIENTS_WIDTH + SENT_WIDTH + RATE_WIDTH;
  const urlWidth = Math.max(4, Math.min(MOST_URL_WIDTH, columns - 1 - fixed));
  const room = Math.max(1, rows - 5);
  const shown = servers.length <= room ? servers : servers.slice(0, Math.max(1, room - 1));
  const line = (id: string, url: string, state: string, clients: string, sent: string, now: string) =>
    `  ${id.padStart(idWidth)}  ${url.padEnd(urlWidth)}  ${state}  ${clients.padStart(CLIENTS_WIDTH)}${sent.padStart(SENT_WIDTH)}${now.padStart(RATE_WIDTH)}`;
  const lines = [paint('dim', line('', 'server', 'state'.padEnd(STATE_WIDTH), 'clients', 'sent', 'rate'))];
  for (const each of shown) {
    const state = paint(STATE_STYLE[each.state], each.state.padEnd(STATE_WIDTH));
    const url = shortHost(new URL(each.url).host, urlWidth, unicode ? '…' : '~');
    lines.push(
      line(String(each.id), url, state, String(each.clients), size(each.bytesSent), rate(each.rate)),
    );
  }
  if (shown.length < servers.length) lines.push(paint('dim', `  ${restLine(servers.slice(shown.length))}`));
  const hashed = hashing && hashingLine(hashing);
  if (hashed !== undefined) lines.push(paint('dim', `  ${hashed}`.slice(0, columns - 1)));
  return lines;
}

/** One line for a log. */
export function serverLine({ id, port, state, clients, bytesSent, rate: now }: ServerStatus): string {
  return `server ${id}, port ${port}: ${state}, ${count(clients, 'client')}, ${size(bytesSent)} sent, ${rate(now)}`;
}

/** How far the digests are; undefined when all are known. */
export function hashingLine({ files, filesDone, bytes, bytesDone }: HashingState): string | undefined {
  if (filesDone === files) return undefined;
  const done = bytes === 0 ? 0 : bytesDone / bytes;
  return `computing digests: ${percentDone(done)} of ${size(bytes)}, ${count(files - filesDone, 'file')} to go`;
}

/** The port at its end is what tells servers apart. */
function shortHost(host: string, width: number, cut: string): string {
  return host.length <= width ? host : cut + host.slice(host.length - width + 1);
}

function restLine(rest: readonly ServerStatus[]): string {
  const clients = rest.reduce((sum, each) => sum + each.clients, 0);
  const sent = rest.reduce((sum, each) => sum + each.bytesSent, 0);
  const together = rest.reduce((sum, each) => sum + each.rate, 0);
  return `${count(rest.length, 'more', 'more')}: ${count(clients, 'client')}, ${size(sent)} sent, ${rate(together)}`;
}
