import { readFileSync } from 'node:fs';

import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';

import { ErrorAnswer } from '../../core/api/common.ts';
import type { App } from '../context.ts';

/** What the schema of a route says that takes a session token or an API key. */
export const SIGNED = { security: [{ account: [] }] };

const ABOUT = `Every error is answered with {code, message, details}: the code is stable (docs/errors.md has them all), and
\`details.field\` names what is wrong with a request. Times are ISO 8601 in UTC, sizes bytes, durations seconds. Lists come in pages:
\`next\` is the \`cursor\` of the page after, null at the end.`;

const TAGS = [
  { name: 'accounts', description: 'Sessions, users, API keys, the audit log' },
  { name: 'files', description: 'The catalogue' },
  { name: 'downloads', description: 'Grants, and the servers to download from' },
  { name: 'servers', description: 'File servers and their operators' },
  { name: 'events', description: 'What happens, as it happens' },
  { name: 'platform', description: 'Health, figures, keys' },
];

const SECURITY_SCHEMES = {
  account: { type: 'http', scheme: 'bearer', description: 'A session token or an API key.' },
  server: {
    type: 'http',
    scheme: 'bearer',
    description: "A file server's own token, from its registration.",
  },
  join: { type: 'http', scheme: 'bearer', description: 'The join token of the fleet.' },
  grant: { type: 'http', scheme: 'bearer', description: 'The grant of a download.' },
} as const;

/**
 * `/openapi.json` and, readable and without anything from elsewhere, `/docs`. To be registered before the routes it tells
 * of.
 */
export async function describeRoutes(app: App): Promise<void> {
  if (!z.globalRegistry.has(ErrorAnswer)) z.globalRegistry.add(ErrorAnswer, { id: 'Error' });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Headwater', version: version(), description: ABOUT, license: { name: 'MIT' } },
      tags: TAGS,
      components: { securitySchemes: SECURITY_SCHEMES },
    },
    transform: (route) => {
      const { response = {} } = route.schema ?? {};
      const schema = { ...route.schema, response: { ...(response as object), ...ERRORS_OF_ALL } };
      return jsonSchemaTransform({ ...route, schema });
    },
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    uiConfig: { docExpansion: 'list', deepLinking: true },
  });
  let text: string | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
    text ??= JSON.stringify(app.swagger());
    return reply.type('application/json; charset=utf-8').serializer(String).send(text);
  });
}

const ERRORS_OF_ALL = { '4XX': ErrorAnswer, '5XX': ErrorAnswer };

function version(): string {
  const about = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return about.version;
}
