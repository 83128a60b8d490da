import { z } from 'zod';

import { ApiKeyCreation, ApiKeyList, ApiKeyListQuery, NewApiKey } from '../../core/api/accounts.ts';
import { Id, NoBody, Nothing, NoQuery } from '../../core/api/common.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { holderOf } from '../authentication.ts';
import type { App, Context } from '../context.ts';
import { createKey, listKeys, revokeKey } from './api-keys.ts';
import { actorOf } from './audit.ts';
import { SMALL_BODY } from './small-body.ts';
import { findUser } from './users.ts';

/** Keys for programs. */
export function keyRoutes(app: App, context: Context): void {
  const { queries } = context.database;
  const tags = ['accounts'];

  app.get(
    '/v1/api-keys',
    {
      schema: {
        tags,
        summary: 'List my API keys',
        querystring: ApiKeyListQuery,
        response: { 200: ApiKeyList },
      },
    },
    async (request) => {
      const caller = await holderOf(request, context);
      const { user } = request.query;
      if (user === undefined || user === caller.id || user.toLowerCase() === caller.email) {
        return listKeys(queries, caller.id, request.query);
      }
      if (caller.role !== 'admin') {
        throw new HeadwaterError('HW_FORBIDDEN', "another account's keys are shown to admins only");
      }
      return listKeys(queries, (await findUser(queries, user)).id, request.query);
    },
  );

  app.post(
    '/v1/api-keys',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'Make an API key',
        querystring: NoQuery,
        body: ApiKeyCreation,
        response: { 201: NewApiKey },
      },
    },
    async (request, reply) => {
      const caller = await holderOf(request, context);
      const key = await createKey(context, caller, request.body, actorOf(request, caller));
      return reply.status(201).header('cache-control', 'no-store').send(key);
    },
  );

  app.delete(
    '/v1/api-keys/:id',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'Revoke an API key',
        params: z.strictObject({ id: Id }),
        querystring: NoQuery,
        body: NoBody,
        response: { 204: Nothing },
      },
    },
    async (request, reply) => {
      const caller = await holderOf(request, context);
      await revokeKey(context, caller, request.params.id, actorOf(request, caller));
      return reply.status(204).send(null);
    },
  );
}
