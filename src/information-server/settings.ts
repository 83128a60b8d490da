import type { FastifyBaseLogger } from 'fastify';

/** An information server's settings, complete and checked. */
export interface InformationServerSettings {
  /** Id of this process. */
  readonly id: string;
  /** Where people and file servers reach it; without a slash at its end. Known once the server listens. */
  readonly publicUrl: string;
  /** `path` of an SQLite file, or `postgres://...`. */
  readonly database: string;
  /** `amqp://...`; undefined: events go over HTTP. */
  readonly broker: string | undefined;
  /** Folder of its own: SQLite's file, the join token. */
  readonly data: string;
  readonly times: Times;
  readonly copies: Copies;
}

/** What is settled before the server listens. */
export interface StartSettings extends Omit<InformationServerSettings, 'publicUrl'> {
  /** Undefined: what it listens on, as others reach it. */
  readonly publicUrl: string | undefined;
  /** Address of this machine to listen on; undefined: all. */
  readonly address: string | undefined;
  /** 0: any free one. */
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  /** The account that is made when there is none. */
  readonly admin: { readonly email: string; readonly password: string } | undefined;
  /** What file servers join with; undefined: what the fleet has, or a new one. */
  readonly joinToken: string | undefined;
  readonly log: FastifyBaseLogger;
  /** Whether answers are held to their schemas before they are sent: it costs as much as some of the answers. */
  readonly checkAnswers: boolean;
  /** Stops waiting for a database that is not there yet. */
  readonly signal: AbortSignal;
  /** Milliseconds that requests may take to finish once the server is to stop. */
  readonly grace: number;
}

/** All in seconds. */
export interface Times {
  /** Between heartbeats of a file server. */
  readonly heartbeat: number;
  /** Without a heartbeat, after which a server is suspected. */
  readonly suspectAfter: number;
  /** Without a heartbeat, after which a server is dead. */
  readonly deadAfter: number;
  /** For which the lease is held without being renewed. */
  readonly lease: number;
  /** For which a grant is good. */
  readonly grant: number;
  /** For which a session is good. */
  readonly session: number;
}

/** Copies of what is published, and how they are made again. */
export interface Copies {
  /** Of each chunk, where nobody says. */
  readonly replicas: number;
  /** Seconds for which chunks of an upload without a commit are kept. */
  readonly keep: number;
  /** Seconds between two looks of repair. */
  readonly every: number;
  /** Bytes that one server is to be getting from others at any time. */
  readonly mostPerServer: number;
  /** The same in the whole fleet. */
  readonly mostInAll: number;
  /** Bytes a second that a server gets at least; slower ones are ordered anew, elsewhere. */
  readonly leastRate: number;
}

/** Defaults, with their reasons. */
export const COPIES: Copies = {
  // One server may be lost at any time.
  replicas: 2,
  // Who was interrupted in the evening goes on in the morning.
  keep: 86_400,
  every: 1,
  // Some seconds of a Gbit/s line: enough that none waits for the next look, and little to wait for behind it.
  mostPerServer: 536_870_912,
  // Sixteen servers at a time: what is left of the network is for downloads.
  mostInAll: 8_589_934_592,
  // A tenth of a 100 Mbit/s line.
  leastRate: 1_048_576,
};

/** Defaults, with their reasons. */
export const TIMES: Times = {
  // Load and rate are fresh enough to order sources by, and 2,000 servers make 1,000 requests a second.
  heartbeat: 2,
  // Five heartbeats: one lost packet or a long collection of garbage is no reason.
  suspectAfter: 10,
  // A restart of the machine takes less, and copying its chunks costs more.
  deadAfter: 300,
  // Two renewals may fail; a new leader is there within 6 s of the old one's death.
  lease: 4,
  // What a stolen grant is good for; clients renew it at half its time.
  grant: 300,
  session: 30 * 86_400,
};
