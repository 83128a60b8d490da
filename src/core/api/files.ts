import { z } from 'zod';

import { Bytes, FileName, Has, Id, MOST_PAGE, Sha256, Time, Zone } from './common.ts';

/** Who sees a file: everyone who is logged in, or its owner, the admins and the users named. */
export const Visibility = z.union([
  z.literal('everyone'),
  z.strictObject({ users: z.array(z.string()).max(1_000).describe('Emails.') }),
]);
export type Visibility = z.infer<typeof Visibility>;

export const FileEntry = z.object({
  id: Id,
  name: z.string(),
  size: Bytes,
  sha256: Sha256,
  createdAt: Time,
  /** Digest of the manifest's canonical text. */
  manifestSha256: Sha256,
  /** Servers that hold all or a part of it and are not dead. */
  holders: z.int().nonnegative(),
});
export type FileEntry = z.infer<typeof FileEntry>;

export const FileListQuery = z.strictObject({
  search: z
    .string()
    .min(1)
    .max(200)
    // eslint-disable-next-line no-control-regex
    .refine((text) => !/[\u0000-\u001f\u007f]/.test(text) && text.isWellFormed(), 'no control characters')
    .optional()
    .describe('Part of the name, in any case.'),
  /** A leading minus turns the order round. */
  sort: z.enum(['name', '-name', 'size', '-size', 'createdAt', '-createdAt']).default('name'),
  limit: z.coerce.number().int().min(1).max(MOST_PAGE).default(100),
  cursor: z.string().max(2_048).optional().describe('`next` of the page before.'),
});
export const FileList = z.object({ items: z.array(FileEntry), next: z.string().nullable() });
export type FileList = z.infer<typeof FileList>;

export const FileDetails = FileEntry.extend({
  chunkSize: z.int().positive(),
  chunks: z.int().nonnegative(),
  /** Email of who published it; null for what a file server registered by itself. */
  owner: z.string().nullable(),
  visibility: Visibility,
  /** Copies of a chunk in chunk stores of servers that are not dead: wanted (null: it is served in place), least, most. */
  replicas: z.object({
    wanted: z.int().positive().nullable(),
    least: z.int().nonnegative(),
    most: z.int().nonnegative(),
  }),
  servers: z.array(
    z.object({
      id: Id,
      name: z.string(),
      zone: Zone,
      state: z.string(),
      has: Has,
      chunks: z.int().nonnegative().describe('Chunks it holds.'),
    }),
  ),
});
export type FileDetails = z.infer<typeof FileDetails>;

export const FileChange = z.strictObject({ name: FileName.optional(), visibility: Visibility.optional() });
export type FileChange = z.infer<typeof FileChange>;

export const DownloadRequest = z.strictObject({
  zone: Zone.optional().describe('Where the client is: servers of this zone come first.'),
});

/** A server to download from. `url` answers ranges to `Authorization: Bearer TOKEN` or `?token=TOKEN`. */
export const DownloadSource = z.object({
  id: Id,
  name: z.string(),
  zone: Zone,
  url: z.url(),
  state: z.string(),
  has: Has,
});
export type DownloadSource = z.infer<typeof DownloadSource>;

/** A manifest as it is in JSON. `parseManifest` checks what a schema cannot. */
export const ManifestAnswer = z.object({
  version: z.int(),
  size: Bytes,
  chunkSize: z.int().positive(),
  sha256: Sha256,
  chunks: z.array(z.string()),
});

/** Leave to download one file. */
export const Download = z.object({
  id: Id.describe('Id of the grant.'),
  token: z.string().describe('The grant itself: a signed JWT.'),
  expiresAt: Time,
  file: z.object({ id: Id, name: z.string(), size: Bytes, sha256: Sha256, manifestSha256: Sha256 }),
  manifest: ManifestAnswer.optional(),
  manifestUrl: z.string().optional().describe('Instead of `manifest` where it is large; same authorisation.'),
  /** Another one whenever who holds the file has changed; what `GET downloads/:id/sources` is asked with. */
  version: z.string(),
  sources: z.array(DownloadSource),
});
export type Download = z.infer<typeof Download>;

/** `GET downloads/:id/sources?version=V&wait=S`: answers at once when they changed since V, else within S seconds. */
export const SourcesQuery = z.strictObject({
  version: z.string().max(100).optional(),
  wait: z.coerce.number().min(0).max(60).default(0).describe('Seconds.'),
});
export const SourcesAnswer = z.object({ version: z.string(), sources: z.array(DownloadSource) });
export type SourcesAnswer = z.infer<typeof SourcesAnswer>;

export const Renewal = z.object({ token: z.string(), expiresAt: Time });
export type Renewal = z.infer<typeof Renewal>;

/** How a download ended, told by the client. */
export const DownloadEnd = z.strictObject({
  outcome: z.enum(['done', 'failed', 'stopped']),
  bytes: Bytes,
  seconds: z.number().nonnegative(),
  code: z.string().max(50).optional(),
});
export type DownloadEnd = z.infer<typeof DownloadEnd>;

/** Claims of a grant's JWT, besides `iss` (the fleet's id), `aud`, `sub` (user), `jti` (grant), `iat` and `exp`. */
export const GrantClaims = z.object({
  iss: z.string(),
  aud: z.literal('headwater:file'),
  sub: z.string(),
  jti: z.string(),
  iat: z.int(),
  exp: z.int(),
  /** The file's id. */
  file: z.string(),
  /** Digest of the manifest: what a file server finds the bytes by. */
  manifest: Sha256,
});
export type GrantClaims = z.infer<typeof GrantClaims>;
