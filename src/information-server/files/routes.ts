import { z } from 'zod';

import { FileName, Id, NoBody, NoQuery, Nothing } from '../../core/api/common.ts';
import { FileChange, FileDetails, FileList, FileListQuery } from '../../core/api/files.ts';
import { actorOf } from '../accounts/audit.ts';
import { callerOf } from '../authentication.ts';
import type { Routes } from '../context.ts';
import { mustMayChange, visibleFile } from './file-access.ts';
import { changeFile, deleteFile } from './file-changes.ts';
import { detailsOf } from './file-details.ts';
import { readFileNamed } from './file-facts.ts';
import { fileNotFound } from './file-not-found.ts';
import { listFiles } from './list-files.ts';
import { manifestRoutes } from './manifest-routes.ts';
import { maySee } from './may-see.ts';
import { metalinkRoutes } from './metalink-routes.ts';

const Params = z.strictObject({ id: Id });
const tags = ['files'];
/** Longest body of a change, bytes: a thousand emails. */
const MOST_CHANGE = 524_288;

export const filesRoutes: Routes = (app, context) => {
  const { queries } = context.database;

  app.get(
    '/v1/files',
    {
      schema: {
        tags,
        summary: 'Files that the account may see, page by page',
        querystring: FileListQuery,
        response: { 200: FileList },
      },
    },
    async (request) => listFiles(context, await callerOf(request, context), request.query),
  );

  app.get(
    '/v1/files/by-name',
    {
      schema: {
        tags,
        summary: 'The file of this name',
        querystring: z.strictObject({ name: FileName }),
        response: { 200: FileDetails },
      },
    },
    async (request) => {
      const caller = await callerOf(request, context);
      const { name } = request.query;
      const file = await readFileNamed(queries, name);
      if (file === undefined || !(await maySee(queries, file, caller))) throw fileNotFound(name);
      return detailsOf(queries, file, caller);
    },
  );

  app.get(
    '/v1/files/:id',
    {
      schema: {
        tags,
        summary: 'Everything about a file, and who holds it',
        params: Params,
        querystring: NoQuery,
        response: { 200: FileDetails },
      },
    },
    async (request) => {
      const caller = await callerOf(request, context);
      return detailsOf(queries, await visibleFile(context, caller, request.params.id), caller);
    },
  );

  app.patch(
    '/v1/files/:id',
    {
      bodyLimit: MOST_CHANGE,
      schema: {
        tags,
        summary: 'Gives a file another name, or other readers',
        params: Params,
        querystring: NoQuery,
        body: FileChange,
        response: { 200: FileDetails },
      },
    },
    async (request) => {
      const caller = await callerOf(request, context);
      const file = await visibleFile(context, caller, request.params.id);
      mustMayChange(caller, file);
      const changed = await changeFile(context, file, request.body, { caller, by: actorOf(request, caller) });
      return detailsOf(queries, changed, caller);
    },
  );

  app.delete(
    '/v1/files/:id',
    {
      schema: {
        tags,
        summary: 'Deletes a file: it is hidden at once, and servers do not send it any more',
        params: Params,
        querystring: NoQuery,
        body: NoBody,
        response: { 204: Nothing },
      },
    },
    async (request, reply) => {
      const caller = await callerOf(request, context);
      const file = await visibleFile(context, caller, request.params.id);
      mustMayChange(caller, file);
      await deleteFile(context, file, actorOf(request, caller));
      return reply.status(204).send(null);
    },
  );

  manifestRoutes(app, context);
  metalinkRoutes(app, context);
};
