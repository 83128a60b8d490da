import type { UpInformationServer, UpServer, UpServerState, UpStatus } from '../up/up-types.ts';
import { count, rate, size } from './amounts.ts';
import type { Style } from './paint.ts';
import type { TableSettings } from './server-table.ts';

const STATE_STYLE: Readonly<Record<UpServerState, Style>> = {
  starting: 'dim',
  running: 'green',
  paused: 'yellow',
  draining: 'yellow',
  stopped: 'dim',
  suspected: 'yellow',
  dead: 'red',
  ended: 'dim',
  died: 'red',
};
const STATE_WIDTH = 9;
const CLIENTS_WIDTH = 7;
const SENT_WIDTH = 10;
const RATE_WIDTH = 12;
const FILES_WIDTH = 7;
/** Widest that a name and a zone are shown, columns. */
const MOST_NAME_WIDTH = 24;
const MOST_ZONE_WIDTH = 10;
/** From here on there is room for addresses, and for how many files there are; columns. */
const WIDE = 100;
const MIDDLE = 76;
/** Up to here there is no room for how much was sent beside names that can be told apart; columns. */
const NARROW = 59;

/**
 * The servers of a fleet as a table, laid out for 46 columns or more: as many as fit, what the others do in one line, and the
 * information servers. No line is as wide as the terminal, so that none wraps.
 */
export function fleetTable(
  { servers, informationServers }: UpStatus,
  { columns, rows, unicode, paint }: TableSettings,
): string[] {
  const idWidth = String(servers.length).length;
  const zoneWidth = widest(
    servers,
    ({ zone }) => zone,
    'zone',
    columns >= MIDDLE ? MOST_ZONE_WIDTH : 'zone'.length,
  );
  const files = columns >= MIDDLE;
  const address = columns >= WIDE;
  const sent = columns > NARROW;
  const numbers =
    STATE_WIDTH + CLIENTS_WIDTH + (sent ? SENT_WIDTH : 0) + RATE_WIDTH + (files ? FILES_WIDTH : 0);
  const room = columns - 1 - (2 + idWidth + 2 + 2 + zoneWidth + 2 + numbers);
  const nameWidth = Math.min(
    room,
    widest(servers, ({ name }) => name, 'server', MOST_NAME_WIDTH),
  );
  const cut = (text: string, width: number): string =>
    (text.length <= width ? text : `${text.slice(0, width - 1)}${unicode ? '…' : '~'}`).padEnd(width);
  const line = (cells: Cells): string =>
    [
      `  ${cells.number.padStart(idWidth)}  ${cut(cells.name, nameWidth)}  ${cut(cells.zone, zoneWidth)}  ${cells.state}`,
      `${cells.clients.padStart(CLIENTS_WIDTH)}${sent ? cells.sent.padStart(SENT_WIDTH) : ''}${cells.rate.padStart(RATE_WIDTH)}`,
      files ? cells.files.padStart(FILES_WIDTH) : '',
      address ? `  ${cells.address}`.slice(0, room - nameWidth) : '',
    ]
      .join('')
      .trimEnd();
  const fitting = Math.max(1, rows - 6);
  const shown = servers.length <= fitting ? servers : servers.slice(0, Math.max(1, fitting - 1));
  const lines = [paint('dim', line(HEADING))];
  for (const each of shown)
    lines.push(line(cellsOf(each, paint(STATE_STYLE[each.state], each.state.padEnd(STATE_WIDTH)))));
  if (shown.length < servers.length) lines.push(paint('dim', `  ${restLine(servers.slice(shown.length))}`));
  lines.push(paint('dim', informationLine(informationServers).slice(0, columns - 1)));
  return lines;
}

/** One line for a log. */
export function fleetServerLine({
  name,
  zone,
  state,
  clients,
  bytesSent,
  rate: now,
  files,
}: UpServer): string {
  return `${name} (${zone}): ${state}, ${count(clients, 'client')}, ${size(bytesSent)} sent, ${rate(now)}, ${count(files, 'file')}`;
}

/** `  information servers: 127.0.0.1:8080 leads, :8081, :8082 away`. */
export function informationLine(servers: readonly UpInformationServer[]): string {
  const [first] = servers;
  const machine = first === undefined ? '' : new URL(first.url).hostname;
  const each = servers.map(({ url, pid, ready, leader }) => {
    const { host, hostname, port } = new URL(url);
    const name = url !== first?.url && hostname === machine ? `:${port}` : host;
    return `${name}${leader ? ' leads' : ready ? '' : pid === undefined ? ' ended' : ' away'}`;
  });
  return `  information ${servers.length === 1 ? 'server' : 'servers'}: ${each.join(', ')}`;
}

interface Cells {
  readonly number: string;
  readonly name: string;
  readonly zone: string;
  readonly state: string;
  readonly clients: string;
  readonly sent: string;
  readonly rate: string;
  readonly files: string;
  readonly address: string;
}

const HEADING: Cells = {
  number: '',
  name: 'server',
  zone: 'zone',
  state: 'state'.padEnd(STATE_WIDTH),
  clients: 'clients',
  sent: 'sent',
  rate: 'rate',
  files: 'files',
  address: 'address',
};

function cellsOf(server: UpServer, state: string): Cells {
  return {
    number: String(server.number),
    name: server.name,
    zone: server.zone,
    state,
    clients: String(server.clients),
    sent: size(server.bytesSent),
    rate: rate(server.rate),
    files: server.files.toLocaleString('en'),
    address: new URL(server.url).host,
  };
}

function widest(
  servers: readonly UpServer[],
  text: (server: UpServer) => string,
  heading: string,
  most: number,
): number {
  return Math.min(most, Math.max(heading.length, ...servers.map((each) => text(each).length)));
}

function restLine(rest: readonly UpServer[]): string {
  const clients = rest.reduce((sum, each) => sum + each.clients, 0);
  const sent = rest.reduce((sum, each) => sum + each.bytesSent, 0);
  const together = rest.reduce((sum, each) => sum + each.rate, 0);
  return `${count(rest.length, 'more', 'more')}: ${count(clients, 'client')}, ${size(sent)} sent, ${rate(together)}`;
}
