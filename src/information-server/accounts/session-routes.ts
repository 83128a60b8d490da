import { LoginAnswer, LoginRequest, Me, OwnPassword } from '../../core/api/accounts.ts';
import { NoBody, Nothing, NoQuery } from '../../core/api/common.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { bearerOf, digestOf, holderOf } from '../authentication.ts';
import type { App, Context } from '../context.ts';
import { actorOf, audit } from './audit.ts';
import { callerCache } from './caller-cache.ts';
import { checkPassword, openSession } from './sessions.ts';
import { changeOwnPassword, findUser, userOf } from './users.ts';
import { SMALL_BODY } from './small-body.ts';

/** Logging in and out, and who one is. */
export function sessionRoutes(app: App, context: Context): void {
  const { database, now } = context;
  const logins = context.metrics.counter('headwater_logins_total', 'Logins, by how they ended.');
  const tags = ['accounts'];

  app.post(
    '/v1/auth/login',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'Log in',
        querystring: NoQuery,
        body: LoginRequest,
        response: { 200: LoginAnswer },
      },
    },
    async (request, reply) => {
      try {
        const user = await checkPassword(context, { ...request.body, address: request.ip });
        const { token, expiresAt } = await openSession(context, user, request.ip);
        logins.add(1, { outcome: 'done' });
        // RFC 6749, 5.1: nothing on the way may keep a token.
        void reply.header('cache-control', 'no-store');
        return { token, expiresAt: new Date(expiresAt).toISOString(), user: userOf(user) };
      } catch (error) {
        const code = error instanceof HeadwaterError ? error.code : 'HW_INTERNAL';
        const outcome = code === 'HW_LOGIN' ? 'refused' : code === 'HW_TOO_MANY' ? 'locked' : 'failed';
        logins.add(1, { outcome });
        throw error;
      }
    },
  );

  app.post(
    '/v1/auth/logout',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'End this session',
        querystring: NoQuery,
        body: NoBody,
        response: { 204: Nothing },
      },
    },
    async (request, reply) => {
      const holder = await holderOf(request, context);
      if (holder.via === 'api-key') {
        const said = 'this is an API key, which has no session: revoke it with DELETE /v1/api-keys/ID';
        throw new HeadwaterError('HW_USAGE', said);
      }
      const digest = digestOf(bearerOf(request));
      await database.transaction(async (queries) => {
        await queries.deleteFrom('sessions').where('digest', '=', digest).execute();
        const by = actorOf(request, holder);
        await audit(queries, { at: now(), by, action: 'session.ended', subject: holder.id });
      });
      callerCache(context).forget();
      return reply.status(204).send(null);
    },
  );

  app.get(
    '/v1/me',
    { schema: { tags, summary: 'Who I am', querystring: NoQuery, response: { 200: Me } } },
    async (request) => {
      const { id, expiresAt } = await holderOf(request, context);
      const user = await findUser(database.queries, id);
      return { ...userOf(user), expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString() };
    },
  );

  app.post(
    '/v1/me/password',
    {
      bodyLimit: SMALL_BODY,
      schema: {
        tags,
        summary: 'Set my own password; ends my other sessions',
        querystring: NoQuery,
        body: OwnPassword,
        response: { 204: Nothing },
      },
    },
    async (request, reply) => {
      const holder = await holderOf(request, context);
      const { current, password } = request.body;
      const { email } = holder;
      await checkPassword(context, { email, password: current, address: request.ip });
      const by = actorOf(request, holder);
      await changeOwnPassword(context, holder, password, { by, session: digestOf(bearerOf(request)) });
      return reply.status(204).send(null);
    },
  );
}
