import { z } from 'zod';

import { Id, NoBody, NoQuery, Sha256, Time, Zone } from '../../core/api/common.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { MANIFEST_BINARY_TYPE, packManifest } from '../../core/manifest-binary.ts';
import { canonicalManifest, MANIFEST_TYPE, MANIFEST_VERSION } from '../../core/manifest.ts';
import { ManifestAnswer } from '../../core/api/files.ts';
import type { App, Context } from '../context.ts';
import { sendBytes, wantsCompact } from '../files/manifest-routes.ts';
import { manifestOf } from '../files/manifest-texts.ts';
import { anyServerOf, serverOf } from '../servers/server-token.ts';
import { internalToken } from './upload-tokens.ts';

const Peers = z.object({ servers: z.array(z.object({ id: Id, url: z.url(), zone: Zone })) });
const InternalToken = z.object({
  token: z.string().describe('What the server asks others for chunks with: a signed JWT.'),
  expiresAt: Time,
});
const tags = ['file servers'];

/** What file servers ask for to work with each other. */
export function chunkServerRoutes(app: App, context: Context): void {
  const db = context.database.queries;

  app.get(
    '/v1/servers/peers',
    {
      schema: {
        tags,
        summary: 'The servers of the fleet that are there, for a file server',
        querystring: NoQuery,
        response: { 200: Peers },
      },
    },
    async (request) => {
      await anyServerOf(request, context);
      const servers = await db
        .selectFrom('servers')
        .select(['id', 'url', 'zone'])
        .where('state', 'not in', ['dead', 'stopped'])
        .orderBy('number')
        .execute();
      return { servers };
    },
  );

  app.post(
    '/v1/servers/:id/internal-token',
    {
      schema: {
        tags,
        summary: 'Leave to ask other file servers for chunks',
        params: z.strictObject({ id: Id }),
        querystring: NoQuery,
        body: NoBody,
        response: { 200: InternalToken },
      },
    },
    async (request) => {
      const { id } = await serverOf(request, context, request.params.id);
      const { token, expiresAt } = await internalToken(context, id);
      return { token, expiresAt: new Date(expiresAt).toISOString() };
    },
  );

  app.get(
    '/v1/manifests/:digest',
    {
      schema: {
        tags,
        summary: `A manifest by its digest, for a file server: its text, or compact to Accept: ${MANIFEST_BINARY_TYPE}`,
        params: z.strictObject({ digest: Sha256 }),
        querystring: NoQuery,
        produces: [MANIFEST_TYPE, MANIFEST_BINARY_TYPE],
        response: { 200: ManifestAnswer },
      },
    },
    async (request, reply) => {
      await anyServerOf(request, context);
      const { digest } = request.params;
      const row = await db
        .selectFrom('contents')
        .select(['size', 'chunk_size', 'sha256', 'chunk_digests'])
        .where('manifest_sha256', '=', digest)
        .executeTakeFirst();
      const digests = row?.chunk_digests ?? undefined;
      if (row === undefined || digests === undefined) {
        const said = 'the fleet has no such manifest: its file was deleted, or nobody has told it yet';
        throw new HeadwaterError('HW_NOT_FOUND', said, { details: { manifest: digest } });
      }
      const { size, chunk_size: chunkSize, sha256 } = row;
      const head = { version: MANIFEST_VERSION, size, chunkSize, sha256 } as const;
      void reply.header('vary', 'accept');
      if (wantsCompact(request)) {
        return sendBytes(reply, MANIFEST_BINARY_TYPE, Buffer.from(packManifest(head, digests).buffer));
      }
      const hex = Buffer.from(digests.buffer, digests.byteOffset, digests.byteLength);
      const text = canonicalManifest(manifestOf(head, hex));
      return sendBytes(reply, MANIFEST_TYPE, Buffer.from(text));
    },
  );
}
