import {
  AuditList,
  AuditQuery,
  User,
  UserChange,
  UserCreation,
  UserKey,
  UserList,
  UserListQuery,
} from '../../core/api/accounts.ts';
import { NoQuery } from '../../core/api/common.ts';
import { callerOf } from '../authentication.ts';
import type { App, Context } from '../context.ts';
import { actorOf, listAudit } from './audit.ts';
import { SMALL_BODY } from './small-body.ts';
import { changeUser, createUser, findUser, listUsers, userOf } from './users.ts';

/** Accounts and the audit log, for admins. */
export function userRoutes(app: App, context: Context): void {
  const { queries } = context.database;
  const tags = ['accounts'];

  app.get(
    '/v1/users',
    {
      schema: {
        tags,
        summary: 'List accounts',
        querystring: UserListQuery,
        response: { 200: UserList },
      },
    },
    async (request) => {
      await callerOf(request, context, 'admin');
      return listUsers(queries, request.query);
    },
  );

  app.post(
    '/v1/users',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'Create an account',
        querystring: NoQuery,
        body: UserCreation,
        response: { 201: User },
      },
    },
    async (request, reply) => {
      const caller = await callerOf(request, context, 'admin');
      const user = await createUser(context, request.body, actorOf(request, caller));
      return reply.status(201).send(user);
    },
  );

  app.get(
    '/v1/users/:id',
    {
      schema: {
        tags,
        summary: 'One account',
        params: UserKey,
        querystring: NoQuery,
        response: { 200: User },
      },
    },
    async (request) => {
      await callerOf(request, context, 'admin');
      return userOf(await findUser(queries, request.params.id));
    },
  );

  app.patch(
    '/v1/users/:id',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'Change role or password of an account, or disable it',
        params: UserKey,
        querystring: NoQuery,
        body: UserChange,
        response: { 200: User },
      },
    },
    async (request) => {
      const caller = await callerOf(request, context, 'admin');
      return changeUser(context, request.params.id, request.body, actorOf(request, caller));
    },
  );

  app.get(
    '/v1/audit',
    {
      schema: {
        tags,
        summary: 'The audit log, newest first',
        querystring: AuditQuery,
        response: { 200: AuditList },
      },
    },
    async (request) => {
      await callerOf(request, context, 'admin');
      return listAudit(queries, request.query);
    },
  );
}
