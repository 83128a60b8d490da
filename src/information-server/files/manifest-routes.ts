import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

import { Id } from '../../core/api/common.ts';
import { ManifestAnswer } from '../../core/api/files.ts';
import { MANIFEST_BINARY_TYPE, packManifest } from '../../core/manifest-binary.ts';
import { MANIFEST_TYPE, MANIFEST_VERSION } from '../../core/manifest.ts';
import type { App, Context } from '../context.ts';
import { readableFile } from './file-access.ts';
import { manifestTextsOf, readChunkDigests } from './manifest-texts.ts';

/** A year, seconds: what a manifest says of a digest never changes. Kept by the client alone: it was let in by its token. */
const KEPT = 'private, max-age=31536000, immutable';

export function manifestRoutes(app: App, context: Context): void {
  app.get(
    '/v1/files/:id/manifest',
    {
      schema: {
        tags: ['files'],
        summary: `The manifest: its canonical text, or compact to Accept: ${MANIFEST_BINARY_TYPE}`,
        params: z.strictObject({ id: Id }),
        querystring: z.strictObject({
          token: z.string().max(4_096).optional().describe('A grant for the file.'),
        }),
        produces: [MANIFEST_TYPE, MANIFEST_BINARY_TYPE],
        response: { 200: ManifestAnswer, 304: z.null().describe('It is as it was.') },
      },
    },
    async (request, reply) => {
      const file = await readableFile(request, context, request.params.id, request.query.token);
      const compact = wantsCompact(request);
      const etag = `"${file.manifestSha256}${compact ? '-compact' : ''}"`;
      void reply.header('etag', etag).header('cache-control', KEPT).header('vary', 'accept, authorization');
      if (isKnown(request, etag)) return reply.status(304).send(null);
      if (!compact) {
        const text = await manifestTextsOf(context).get(file);
        return sendBytes(reply, MANIFEST_TYPE, Buffer.from(text));
      }
      const { size, chunkSize, sha256 } = file;
      const head = { version: MANIFEST_VERSION, size, chunkSize, sha256 } as const;
      const packed = packManifest(head, await readChunkDigests(context.database.queries, file));
      return sendBytes(reply, MANIFEST_BINARY_TYPE, Buffer.from(packed.buffer));
    },
  );
}

/** Bytes that are the answer already; text would get a charset, which these types do not have. */
export function sendBytes(reply: FastifyReply, type: string, body: Buffer): never {
  return reply.type(type).send(body) as never;
}

/** Whether it asks for a manifest's compact form. */
export function wantsCompact({ headers }: FastifyRequest): boolean {
  const types = (headers.accept ?? '').split(',').map((each) => each.split(';')[0]?.trim().toLowerCase());
  return types.includes(MANIFEST_BINARY_TYPE);
}

/** Whether the client has it (RFC 9110, 13.1.2). */
function isKnown({ headers }: FastifyRequest, etag: string): boolean {
  const known = headers['if-none-match'];
  if (known === undefined) return false;
  return known === '*' || known.split(',').some((each) => each.trim().replace(/^W\//, '') === etag);
}
