import { z } from 'zod';

import { Id, NoBody, NoQuery, Nothing } from '../../core/api/common.ts';
import { CommitAnswer, UploadAnswer, UploadRequest } from '../../core/api/uploads.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { MANIFEST_BINARY_TYPE } from '../../core/manifest-binary.ts';
import { actorOf } from '../accounts/audit.ts';
import { callerOf } from '../authentication.ts';
import type { App, Context, Routes } from '../context.ts';
import { admitWithin } from '../servers/admission.ts';
import { commitUpload } from './commit.ts';
import { MOST_COMMITS_BYTES, MOST_COMPACT_MANIFEST } from './limits.ts';
import { chunkServerRoutes } from './server-routes.ts';
import { beginUpload, findUpload, renewUpload, uploadAnswer } from './uploads.ts';

const Params = z.strictObject({ id: Id });
const tags = ['uploads'];
/** Longest body that begins an upload, bytes: a thousand emails. */
const MOST_BEGINNING = 524_288;

/** Publishing, as clients and file servers ask for it. */
export const uploadsRoutes: Routes = (app, context) => {
  app.post(
    '/v1/uploads',
    {
      bodyLimit: MOST_BEGINNING,
      schema: {
        tags,
        summary: 'Begins to publish a file: where its chunks can go, and leave to send them',
        querystring: NoQuery,
        body: UploadRequest,
        response: { 200: UploadAnswer },
      },
    },
    async (request) => beginUpload(context, request.body, await callerOf(request, context, 'publisher')),
  );

  app.get(
    '/v1/uploads/:id/servers',
    {
      schema: {
        tags,
        summary: 'The servers as they are now, and another token',
        params: Params,
        querystring: NoQuery,
        response: { 200: UploadAnswer },
      },
    },
    async (request) => {
      const caller = await callerOf(request, context, 'publisher');
      return uploadAnswer(context, await findUpload(context, request.params.id, caller));
    },
  );

  app.post(
    '/v1/uploads/:id/renew',
    {
      schema: {
        tags,
        summary: 'Another token, and what was sent is kept for as long again',
        params: Params,
        querystring: NoQuery,
        body: NoBody,
        response: { 200: UploadAnswer },
      },
    },
    async (request) => {
      const caller = await callerOf(request, context, 'publisher');
      return renewUpload(context, await findUpload(context, request.params.id, caller));
    },
  );

  app.delete(
    '/v1/uploads/:id',
    {
      schema: {
        tags,
        summary: 'Gives an upload up: what was sent is removed when its time is over',
        params: Params,
        querystring: NoQuery,
        body: NoBody,
        response: { 204: Nothing },
      },
    },
    async (request, reply) => {
      const caller = await callerOf(request, context, 'publisher');
      const { id } = await findUpload(context, request.params.id, caller);
      await context.database.queries.deleteFrom('uploads').where('id', '=', id).execute();
      return reply.status(204).send(null);
    },
  );

  void app.register(async (scope) => committing(scope.withTypeProvider(), context));
  chunkServerRoutes(app, context);
};

function committing(app: App, context: Context): void {
  admitWithin(app, MOST_COMMITS_BYTES, MOST_COMPACT_MANIFEST);
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser(
    MANIFEST_BINARY_TYPE,
    { parseAs: 'buffer', bodyLimit: MOST_COMPACT_MANIFEST },
    (_request, body, done) => done(null, body),
  );
  app.post(
    '/v1/uploads/:id/commit',
    {
      bodyLimit: MOST_COMPACT_MANIFEST,
      schema: {
        tags,
        summary:
          'Makes the file, once every chunk has its copies: the body is its manifest in the compact form',
        params: Params,
        querystring: NoQuery,
        consumes: [MANIFEST_BINARY_TYPE],
        response: { 200: CommitAnswer },
      },
    },
    async (request) => {
      const caller = await callerOf(request, context, 'publisher');
      const upload = await findUpload(context, request.params.id, caller);
      const { body } = request;
      if (!Buffer.isBuffer(body)) {
        const said = `the body is to be a manifest in its compact form: ${MANIFEST_BINARY_TYPE}`;
        throw new HeadwaterError('HW_MANIFEST_INVALID', said);
      }
      return commitUpload(context, upload, body, caller, actorOf(request, caller));
    },
  );
}
