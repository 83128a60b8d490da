/** An information server's settings, complete and checked. */
export interface InformationServerSettings {
  /** Id of this process. */
  readonly id: string;
  /** Where people and file servers reach it. */
  readonly publicUrl: string;
  /** `path` of an SQLite file, or `postgres://...`. */
  readonly database: string;
  /** `amqp://...`; undefined: events go over HTTP. */
  readonly broker: string | undefined;
  /** Folder of its own: SQLite's file, the join token. */
  readonly data: string;
  readonly times: Times;
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
