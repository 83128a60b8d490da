import { z } from 'zod';

import { Bytes, FileName, Has, Id, Sha256, Time, Zone } from './common.ts';

/**
 * What a file server does, and what the fleet makes of it:
 * - `running`: answers
 * - `paused`: keeps its connections, sends nothing, refuses what is new with 503
 * - `draining`: finishes what is under way, takes nothing new, gets no new downloads
 * - `stopped`: has ended, on request
 * - `suspected`: was not heard of for a while; gets no new downloads
 * - `dead`: was not heard of for longer than the grace
 */
export const ServerState = z.enum(['running', 'paused', 'draining', 'stopped', 'suspected', 'dead']);
export type FleetServerState = z.infer<typeof ServerState>;

/** What an operator asks of a file server. */
export const ServerCommand = z.enum(['pause', 'resume', 'drain', 'stop']);
export type ServerCommand = z.infer<typeof ServerCommand>;

export const ServerName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);

/** `POST servers`, with the join token as bearer (or the server's own token when it comes back). */
export const Registration = z.strictObject({
  /** Its id of an earlier time, kept in its data folder. */
  id: Id.optional(),
  /**
   * Number of this process, more than that of any before with this id: of two the later one counts. Milliseconds since
   * 1970, or one more than the last where the clock has gone back.
   */
  instance: z.int().positive(),
  name: ServerName,
  zone: Zone,
  url: z.url().describe('Where clients reach it.'),
  /** Bytes it may fill; undefined: not told. */
  capacity: Bytes.optional(),
  version: z.string().max(50),
});
export type Registration = z.infer<typeof Registration>;

export const Registered = z.object({
  id: Id,
  /** Its own token from now on. */
  token: z.string(),
  /** The fleet's id: `iss` of every grant. */
  fleet: z.string(),
  /** Seconds between heartbeats. */
  heartbeat: z.number().positive(),
  /** Addresses of information servers. */
  informationServers: z.array(z.url()),
  keys: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }).describe('JWKS (RFC 7517).'),
  /** What its holdings' version was when it was last here; 0: nothing is known, tell all. */
  holdingsVersion: z.int().nonnegative(),
  /** What an operator wants of it. */
  wanted: z.enum(['running', 'paused', 'draining', 'stopped']),
  /** Where events are to be had from: this server's stream, or a broker that it must be told the address of. */
  events: z.enum(['embedded', 'broker']),
  /** Where its events go on from: position of the newest event when it registered first. */
  position: z.int().nonnegative(),
});
export type Registered = z.infer<typeof Registered>;

/** `POST servers/:id/heartbeat`. */
export const Heartbeat = z.strictObject({
  instance: z.int().positive(),
  state: z.enum(['running', 'paused', 'draining', 'stopped']),
  /** Bodies being sent. */
  answers: z.int().nonnegative(),
  /** Open connections. */
  clients: z.int().nonnegative(),
  /** Bytes a second lately. */
  rate: z.number().nonnegative(),
  bytesSent: Bytes,
  /** Bytes free where it keeps its data. */
  free: Bytes.optional(),
  /** Its chunk store, where it has one. */
  store: z
    .strictObject({
      /** Bytes that it may fill in all. */
      capacity: Bytes,
      chunks: z.int().nonnegative(),
      bytes: Bytes,
      /** There is room for more. */
      open: z.boolean(),
    })
    .optional(),
  holdingsVersion: z.int().nonnegative(),
  /** Its clock: a wrong one is told to the operator, and never decides anything. */
  time: Time,
  /** Grants whose downloads it has seen, counted since the last heartbeat. */
  downloads: z.int().nonnegative().default(0),
});
export type Heartbeat = z.input<typeof Heartbeat>;
export const HeartbeatAnswer = z.object({
  wanted: z.enum(['running', 'paused', 'draining', 'stopped']),
  /** The version of its holdings that is known here: when it is not the server's own, it tells all again. */
  holdingsVersion: z.int().nonnegative(),
  informationServers: z.array(z.url()),
  time: Time,
});
export type HeartbeatAnswer = z.infer<typeof HeartbeatAnswer>;

/** Most holdings in one announcement. */
export const MOST_ANNOUNCED = 1_000;

export const AnnouncedFile = z.strictObject({
  name: FileName,
  size: Bytes,
  sha256: Sha256,
  manifestSha256: Sha256,
  has: Has.default('all'),
  /** It is in the chunk store, as the fleet asked for: no file is made of it, and none is told `unwanted`. */
  stored: z.boolean().default(false),
});
export type AnnouncedFile = z.input<typeof AnnouncedFile>;

/**
 * `POST servers/:id/holdings`. From version 0 it begins anew: what is known and not told again until `last` is
 * forgotten. Otherwise it changes what is known at version `from`. A long list goes in pages: 0 to a, a to b, ..., each
 * but the final one with `last` false. One that is sent twice does what it did.
 */
export const Announcement = z.strictObject({
  instance: z.int().positive(),
  /** Version that this changes; 409 when another is known. */
  from: z.int().nonnegative(),
  /** Version after it: another than `from`, any otherwise. */
  to: z.int().positive(),
  /** False: more of the same whole list comes with the next one. */
  last: z.boolean().default(true),
  /** Held from now on, or held in other parts than before. */
  added: z.array(AnnouncedFile).max(MOST_ANNOUNCED),
  /** Done before `added`. */
  removed: z.array(Sha256).max(MOST_ANNOUNCED).describe('Digests of manifests.'),
});
export type Announcement = z.input<typeof Announcement>;
export const AnnouncementAnswer = z.object({
  holdingsVersion: z.int().nonnegative(),
  /** Digests of manifests that are not known here: the server sends each with `PUT manifests/:digest`. */
  wanted: z.array(Sha256),
  /** Digests of manifests that were told with a size or SHA-256 they do not have: not taken. */
  refused: z.array(Sha256),
  /** Digests of manifests, of those told as `stored`, that no file refers to any more: to be dropped. */
  unwanted: z.array(Sha256).default([]),
});
export type AnnouncementAnswer = z.infer<typeof AnnouncementAnswer>;

export const ServerEntry = z.object({
  id: Id,
  name: z.string(),
  zone: Zone,
  url: z.string(),
  state: ServerState,
  /** What an operator wants of it. */
  wanted: z.enum(['running', 'paused', 'draining', 'stopped']),
  /** Bytes a second lately. */
  rate: z.number(),
  answers: z.int(),
  clients: z.int(),
  bytesSent: Bytes,
  capacity: Bytes.nullable(),
  free: Bytes.nullable(),
  /** Files it holds all or a part of. */
  files: z.int(),
  /** In its chunk store. */
  chunks: z.int().nonnegative(),
  /** What these take. */
  bytes: Bytes,
  version: z.string(),
  /** Seconds its clock is ahead of the information server's. */
  clockAhead: z.number(),
  lastSeenAt: Time,
  registeredAt: Time,
});
export type ServerEntry = z.infer<typeof ServerEntry>;
export const ServerList = z.object({ items: z.array(ServerEntry), next: z.string().nullable() });

/**
 * `POST URL/v1/files/:id/reports` at a file server, with the grant: this chunk came wrong. The answer's `verdict` says
 * what a re-read found: `good`, `bad` or `unknown`.
 */
export const ChunkReport = z.strictObject({ chunk: z.int().nonnegative() });
