import { z } from 'zod';

import { NoBody, NoQuery, Time } from '../../core/api/common.ts';
import { actorOf, audit } from '../accounts/audit.ts';
import { callerOf } from '../authentication.ts';
import type { Routes } from '../context.ts';
import { keyRingOf } from './key-ring.ts';
import { rotateKeys } from './key-store.ts';
import { JWKS_MAX_AGE, rotationTimes } from './key-times.ts';

const Jwks = z
  .object({ keys: z.array(z.record(z.string(), z.unknown())) })
  .describe('Keys that grants are checked with (RFC 7517).');
const Rotation = z.object({
  kid: z.string().describe('The new key.'),
  activeFrom: Time.describe('It signs from then on.'),
});

export const keysRoutes: Routes = (app, context) => {
  const { database, now } = context;
  const keys = keyRingOf(context);

  app.get(
    '/.well-known/jwks.json',
    {
      schema: {
        tags: ['keys'],
        summary: 'The keys that grants are signed with',
        querystring: NoQuery,
        response: { 200: Jwks },
      },
    },
    async (_request, reply) => {
      const set = await keys.jwks();
      const etag = `"${set.keys.map(({ kid }) => kid).join('.')}"`;
      void reply.header('cache-control', `public, max-age=${JWKS_MAX_AGE}`).header('etag', etag);
      return set;
    },
  );

  app.post(
    '/v1/keys/rotate',
    {
      schema: {
        tags: ['keys'],
        summary:
          'Makes a new key; it signs a little later, and the old one is trusted until its last grant is over',
        querystring: NoQuery,
        body: NoBody,
        response: { 200: Rotation },
      },
    },
    async (request) => {
      const caller = await callerOf(request, context, 'admin');
      const at = now();
      const { kid, activeFrom } = await rotateKeys(database, at, rotationTimes(context), (db, kid) =>
        audit(db, { at, by: actorOf(request, caller), action: 'keys.rotated', subject: kid }),
      );
      keys.forget();
      return { kid, activeFrom: new Date(activeFrom).toISOString() };
    },
  );
};
