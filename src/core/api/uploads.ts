import { z } from 'zod';

import { Bytes, FileName, Id, Sha256, Time, Zone } from './common.ts';
import { FileEntry, Visibility } from './files.ts';

/** Most copies of a chunk that can be asked for. */
export const MOST_REPLICAS = 16;
/** Most digests in one question. */
export const MOST_CHECKED = 10_000;
/** Seconds that chunks of an upload without a commit can be kept, at least and at most. */
export const LEAST_KEEP = 60;
export const MOST_KEEP = 30 * 86_400;

/** `POST uploads`. */
export const UploadRequest = z.strictObject({
  name: FileName,
  replicas: z
    .int()
    .min(1)
    .max(MOST_REPLICAS)
    .optional()
    .describe("Copies of each chunk. Default: the fleet's."),
  zones: z
    .int()
    .min(1)
    .max(MOST_REPLICAS)
    .optional()
    .describe('Zones to spread them over. Default: as many as there are.'),
  visibility: Visibility.optional(),
  replace: z.boolean().default(false).describe('Take the name from the file that has it.'),
  keep: z
    .int()
    .min(LEAST_KEEP)
    .max(MOST_KEEP)
    .optional()
    .describe("Seconds for which what was sent is kept without a commit. Default: the fleet's, 24 hours."),
});
export type UploadRequest = z.input<typeof UploadRequest>;

/** A server that chunks may be sent to. */
export const UploadServer = z.object({
  id: Id,
  name: z.string(),
  zone: Zone,
  url: z.url(),
  /** Bytes its store may fill in all: its share of the chunks is in proportion. */
  weight: Bytes,
  /** It has room, runs and takes new chunks. */
  open: z.boolean(),
});
export type UploadServer = z.infer<typeof UploadServer>;

export const UploadAnswer = z.object({
  id: Id,
  token: z.string().describe('Leave to send chunks: a signed JWT.'),
  expiresAt: Time,
  /** Chunks of an upload that was not committed are kept until then. */
  keepUntil: Time,
  replicas: z.int().positive(),
  zones: z.int().positive(),
  servers: z.array(UploadServer),
});
export type UploadAnswer = z.infer<typeof UploadAnswer>;

/** `GET uploads/:id/servers`: as they are now. */
export const UploadServers = UploadAnswer.pick({ replicas: true, zones: true, servers: true });
export type UploadServers = z.infer<typeof UploadServers>;

/** `POST uploads/:id/renew`: leave to go on sending. */
export const UploadRenewal = UploadAnswer.pick({ token: true, expiresAt: true, keepUntil: true });
export type UploadRenewal = z.infer<typeof UploadRenewal>;

/** `POST uploads/:id/commit` takes a manifest in its compact form and answers with the file. */
export const CommitAnswer = FileEntry;
export type CommitAnswer = z.infer<typeof CommitAnswer>;

/** Claims of an upload's JWT, besides `iss`, `sub` (user), `iat` and `exp`. */
export const UploadClaims = z.object({
  iss: z.string(),
  aud: z.literal('headwater:upload'),
  sub: z.string(),
  jti: z.string().describe('Id of the upload.'),
  iat: z.int(),
  exp: z.int(),
  /** Seconds since 1970 until which what is sent with it is kept without a commit. */
  keep: z.int(),
});
export type UploadClaims = z.infer<typeof UploadClaims>;

/** Claims of a token with which one server of the fleet asks another. */
export const InternalClaims = z.object({
  iss: z.string(),
  aud: z.literal('headwater:chunk'),
  sub: z.string().describe('Id of the server that asks, or "information-server".'),
  iat: z.int(),
  exp: z.int(),
});
export type InternalClaims = z.infer<typeof InternalClaims>;

/** `POST URL/v1/chunks/check` at a file server. */
export const CheckRequest = z.strictObject({ digests: z.array(Sha256).max(MOST_CHECKED) });
export const CheckAnswer = z.object({
  has: z.string().describe('Bitmap in base64, least significant bit first: which of the digests it has.'),
});

/** `PUT URL/v1/chunks/:digest?next=ID,ID` at a file server. */
export const ChunkStored = z.object({
  stored: z.array(Id),
  failed: z.array(z.object({ id: Id, code: z.string(), message: z.string() })),
});
export type ChunkStored = z.infer<typeof ChunkStored>;

/** `POST rebalance`. */
export const RebalanceRequest = z.strictObject({
  dryRun: z.boolean().default(false).describe('Say what would move, and move nothing.'),
});
export const RebalanceAnswer = z.object({
  dryRun: z.boolean(),
  /** Published contents, and how many of them the figures were worked out of: they stand for all. */
  contents: z.int().nonnegative(),
  looked: z.int().nonnegative(),
  /** Copies of chunks that are not where they belong. */
  chunks: z.int().nonnegative(),
  bytes: Bytes,
  servers: z.array(
    z.object({
      id: Id,
      name: z.string(),
      takes: Bytes.describe('Bytes that come to it.'),
      gives: Bytes.describe('Bytes that go from it.'),
    }),
  ),
});
export type RebalanceAnswer = z.infer<typeof RebalanceAnswer>;
