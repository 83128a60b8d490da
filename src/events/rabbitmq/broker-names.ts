import type { Audience } from '../../core/api/events.ts';
import { HeadwaterError } from '../../core/errors.ts';

/** What things are called at the broker; another prefix is another fleet's, on the same broker. */
export interface BrokerNames {
  /** Topic exchange that every event is published to. */
  readonly exchange: string;
  /** Fanout exchange that given up events go to. */
  readonly deadExchange: string;
  /** Queue of given up events, which the leader empties for the operator to see. */
  readonly deadQueue: string;
  /** A file server's queue. */
  readonly queueOf: (server: string) => string;
  /** The file server that a queue belongs to. */
  readonly serverOf: (queue: string) => string | undefined;
}

/**
 * Reads a broker's address, `amqp://USER:PASSWORD@HOST:PORT/VHOST`. `?prefix=NAME` has all names begin otherwise than with
 * `headwater`, so that several fleets can share a virtual host.
 *
 * @throws HeadwaterError `HW_USAGE`
 */
export function brokerAt(address: string): { readonly url: string; readonly names: BrokerNames } {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'amqp:' && url.protocol !== 'amqps:')) {
    // Not shown: it may hold a password.
    throw new HeadwaterError('HW_USAGE', 'the address of the message broker begins with amqp:// or amqps://');
  }
  const prefix = url.searchParams.get('prefix') ?? 'headwater';
  if (!/^[\w-]{1,60}$/.test(prefix)) {
    const said = 'the prefix of the message broker has 1 to 60 letters, digits, dashes and underscores';
    throw new HeadwaterError('HW_USAGE', said);
  }
  url.searchParams.delete('prefix');
  return { url: url.href, names: brokerNames(prefix) };
}

function brokerNames(prefix: string): BrokerNames {
  const queues = `${prefix}.server.`;
  return {
    exchange: `${prefix}.events`,
    deadExchange: `${prefix}.dead`,
    deadQueue: `${prefix}.dead-letters`,
    queueOf: (server) => `${queues}${server}`,
    serverOf: (queue) => (queue.startsWith(queues) ? queue.slice(queues.length) : undefined),
  };
}

/** Stands for every zone, or every server, in a routing key. */
const ALL = 'all';
/** Keys of one message: they are in its header, which must fit into one frame. */
const MOST_KEYS = 400;

/**
 * Routing keys of an event, ZONE.SERVER.KIND: `all.all.keys.rotated`, `east.all.file.deleted`,
 * `east.0193….server.command`. One list for each message that has to be published.
 *
 * @param zoneOf the zone of a server
 */
export function routingKeys(
  audience: Audience,
  kind: string,
  zoneOf: (server: string) => string | undefined,
): string[][] {
  if (audience === 'people') return [];
  if (audience === 'all') return [[`${ALL}.${ALL}.${kind}`]];
  if ('zone' in audience) return [[`${audience.zone}.${ALL}.${kind}`]];
  const keys = audience.servers.map((server) => `${zoneOf(server) ?? ALL}.${server}.${kind}`);
  return Array.from({ length: Math.ceil(keys.length / MOST_KEYS) }, (_, part) =>
    keys.slice(part * MOST_KEYS, (part + 1) * MOST_KEYS),
  );
}

/** What a file server's queue is bound to: what is for all, for its zone, and for itself wherever it was. */
export function bindingKeys({ id, zone }: { id: string; zone: string }): string[] {
  return [`${ALL}.${ALL}.#`, `${zone}.${ALL}.#`, `*.${id}.#`];
}
