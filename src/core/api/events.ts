import { z } from 'zod';

import { Id, Sha256, Time, Zone } from './common.ts';
import { ServerCommand } from './servers.ts';

/** What file servers are told. Every one may come twice or out of order, and must end the same. */
export const FLEET_EVENTS = {
  /** A grant was given: bytes of this file will be asked for soon. */
  'download.granted': z.object({
    grant: Id,
    file: Id,
    manifest: Sha256,
    user: z.string(),
    expiresAt: Time,
  }),
  'grant.revoked': z.object({ grant: Id, expiresAt: Time }),
  'file.renamed': z.object({ file: Id, manifest: Sha256, name: z.string() }),
  /**
   * Grants for the file are no good from now on. `withdraw` false: nobody meant its content, only its name went to another;
   * who has the content goes on announcing it.
   */
  'file.deleted': z.object({ file: Id, manifest: Sha256, withdraw: z.boolean().default(true) }),
  /** `revision` only grows: an older command that comes later is not done. */
  'server.command': z.object({ server: Id, command: ServerCommand, revision: z.int() }),
  'keys.rotated': z.object({ kid: z.string() }),
  /** The server holds chunks of this content: it gets the manifest, keeps them and tells what it holds. */
  'content.held': z.object({ manifest: Sha256 }),
  /** No file refers to it any more. */
  'content.dropped': z.object({ manifest: Sha256 }),
  /** Get these chunks from one of the sources and keep them. */
  'chunks.copy': z.object({
    order: Id,
    manifest: Sha256,
    /** Ranges of chunk numbers, each [first, last]. */
    chunks: z.array(z.tuple([z.int(), z.int()])),
    sources: z.array(z.object({ id: Id, url: z.string() })),
  }),
  /** Other servers have copies enough of these. */
  'chunks.drop': z.object({ manifest: Sha256, chunks: z.array(z.tuple([z.int(), z.int()])) }),
} as const;
export type FleetEventKind = keyof typeof FLEET_EVENTS;

/** What people are told besides: never sent to file servers. */
export const FEED_EVENTS = [
  'server.joined',
  'server.state',
  'server.gone',
  'server.clock',
  'server.lied',
  'download.started',
  'download.ended',
  'file.published',
  'file.renamed',
  'file.deleted',
  'file.visibility',
  'file.clash',
  'holding.lost',
  'chunk.bad',
  'leader.changed',
  'keys.rotated',
  'grant.revoked',
  'server.command',
  'event.dead-lettered',
  'repair.started',
  'repair.done',
  'copies.lost',
  'rebalance.started',
  'server.drained',
  'chunks.copy',
  'chunks.drop',
] as const;

/** Who an event is for: every file server, those of a zone, or these (ids). Nobody: only people read it. */
export const Audience = z.union([
  z.literal('all'),
  z.literal('people'),
  z.object({ zone: Zone }),
  z.object({ servers: z.array(Id) }),
]);
export type Audience = z.infer<typeof Audience>;

/** An event as it is stored and sent. */
export const FleetEvent = z.object({
  /** Same for every copy of it. */
  id: Id,
  /** Grows by 1 or more with each event of the fleet, in the order the changes were committed. */
  position: z.int().positive(),
  kind: z.string(),
  at: Time,
  audience: Audience,
  data: z.record(z.string(), z.unknown()),
});
export type FleetEvent = z.infer<typeof FleetEvent>;

/** `POST servers/:id/dead-letters`: an event that a file server has given up after several tries. */
export const DeadLetter = z.strictObject({
  event: Id.describe('Id of the event.'),
  kind: z.string().max(100),
  position: z.int().nonnegative(),
  why: z.string().max(1_000),
});
export type DeadLetter = z.infer<typeof DeadLetter>;
