import { z } from 'zod';

import { Id, Zone } from '../../core/api/common.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { bearerOf, callerOf, digestOf } from '../authentication.ts';
import type { App, Context } from '../context.ts';
import { tokenOf } from '../grants/download-answer.ts';
import { grantsOf, type Granted } from '../grants/grant-batches.ts';
import { METALINK_GRANT } from '../grants/grant-times.ts';
import type { Holder } from '../grants/holders.ts';
import { forNewDownload, sourcesOf } from '../grants/sources.ts';
import { keyRingOf } from '../keys/key-ring.ts';
import { contentDisposition } from '../../file-server/content-disposition.ts';
import { manifestOf, readChunkDigests } from './manifest-texts.ts';
import { metalinkName, metalinkOf, METALINK_TYPE } from './metalink.ts';

export function metalinkRoutes(app: App, context: Context): void {
  app.get(
    '/v1/files/:id/metalink',
    {
      schema: {
        tags: ['downloads'],
        summary: 'A Metalink (RFC 5854) with a grant in it, for aria2 and other programs',
        params: z.strictObject({ id: Id }),
        querystring: z.strictObject({ zone: Zone.optional().describe('Where the client is.') }),
        produces: [METALINK_TYPE],
        response: { 200: z.string().describe('XML.') },
      },
    },
    async (request, reply) => {
      const caller = await callerOf(request, context);
      const { zone } = request.query;
      const granted = await grantsOf(context).give({
        caller,
        credential: digestOf(bearerOf(request)),
        fileId: request.params.id,
        zone,
        seconds: METALINK_GRANT,
      });
      const { file } = granted;
      const sources = sourcesOf(complete(granted), file.id, zone);
      const manifest = manifestOf(file, await readChunkDigests(context.database.queries, file));
      const token = await tokenOf(granted, await keyRingOf(context).signer(), context.fleet);
      return (
        reply
          .type(METALINK_TYPE)
          .header('content-disposition', contentDisposition(`${metalinkName(file.name)}.meta4`))
          // It has the grant in it.
          .header('cache-control', 'no-store')
          .send(metalinkOf(file.name, manifest, sources, token))
      );
    },
  );
}

/**
 * Servers that hold every chunk: no program knows from a Metalink who holds which. Where there is none, all who hold a part:
 * together they may hold it all.
 *
 * @throws HeadwaterError `HW_SOURCES_LOST`
 */
function complete({ holders, file }: Granted): readonly Holder[] {
  const running = forNewDownload(holders.list);
  if (running.length === 0) {
    const said = `no server that holds ${file.name} runs now; ask again in a moment`;
    throw new HeadwaterError('HW_SOURCES_LOST', said, { details: { file: file.id, retryAfter: 5 } });
  }
  const whole = running.filter(({ has }) => has === 'all');
  return whole.length > 0 ? whole : running;
}
