import { STATUS_CODES } from 'node:http';

import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';

import { ErrorAnswer, NoBody } from '../../core/api/common.ts';
import type { App } from '../context.ts';
import { VERSION } from './version.ts';

const ABOUT = `Every error is answered with {code, message, details}: the code is stable (docs/errors.md has them all), and
\`details.field\` names what is wrong with a request. Times are ISO 8601 in UTC, sizes bytes, durations seconds. Lists come in pages:
\`next\` is the \`cursor\` of the page after, null at the end.`;

const TAGS = [
  { name: 'accounts', description: 'Sessions, users, API keys, the audit log' },
  { name: 'files', description: 'The catalogue' },
  { name: 'uploads', description: 'Publishing a file' },
  { name: 'downloads', description: 'Grants, and the servers to download from' },
  { name: 'servers', description: 'File servers, for people and operators' },
  { name: 'file servers', description: 'What file servers themselves ask for and tell' },
  { name: 'events', description: 'What happens, as it happens' },
  { name: 'keys', description: 'What grants are signed with' },
  { name: 'platform', description: 'Health and figures' },
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

/** Schemas that the document names; all others stand where they are used. */
const NAMED = z.registry<{ id?: string | undefined; description?: string | undefined }>();
NAMED.add(ErrorAnswer, { id: 'Error', description: 'What went wrong.' });

/** How schemas are written down. */
const PLAIN: NonNullable<Parameters<typeof createJsonSchemaTransform>[0]['zodToJsonConfig']> = {
  override: ({ zodSchema, jsonSchema }) => {
    const {
      _zod: { def },
    } = zodSchema;
    // Answers can get more fields in a later version; only what is taken in is strict.
    if (def.type === 'object' && def.catchall === undefined) delete jsonSchema.additionalProperties;
    // The format says it in a word.
    if (jsonSchema.format === 'uuid' || jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  },
};

const describe = createJsonSchemaTransform({ schemaRegistry: NAMED, zodToJsonConfig: PLAIN });

/** Routes that take no token. */
const OPEN = new Set([
  '/healthz',
  '/readyz',
  '/metrics',
  '/v1/auth/login',
  '/.well-known/jwks.json',
  '/v1/fleet',
]);

/** What a route takes to be let in, where its own schema does not say: an account's token, or a file server's. */
function securityOf(method: string, url: string, tags: readonly string[]): Record<string, string[]>[] {
  if (OPEN.has(url)) return [];
  if (url === '/v1/servers' && method === 'POST') return [{ join: [] }, { server: [] }];
  return tags.includes('file servers') ? [{ server: [] }] : [{ account: [] }];
}

/** `get /v1/users/:id` becomes `getUsersById`. */
function operationId(method: string, url: string): string {
  const words = url.replace(/^\/v1/, '').split(/[^A-Za-z0-9:]+/);
  const named = words.filter((word) => word !== '');
  return (
    method.toLowerCase() +
    named.map((word) => (word.startsWith(':') ? `By${capital(word.slice(1))}` : capital(word))).join('')
  );
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/**
 * What the page at `/docs` may load: its own files alone. Nothing asks a browser to change to https, since many fleets run on
 * plain http in a network of their own.
 */
const CONTENT_SECURITY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * `/openapi.json` and, readable and without anything from elsewhere, `/docs`. To be registered before the routes it tells
 * of.
 */
export async function describeRoutes(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Headwater', version: VERSION, description: ABOUT, license: { name: 'MIT' } },
      tags: TAGS,
      components: { securitySchemes: SECURITY_SCHEMES },
    },
    transform: (route) => {
      const { response = {}, tags = [], security, body, ...rest } = route.schema ?? {};
      const method = String(route.route.method);
      const schema = {
        ...rest,
        // A body that may only be missing or empty is none to those who read of it.
        ...(body !== undefined && body !== NoBody && { body }),
        tags,
        operationId: operationId(method, route.url),
        security: security ?? securityOf(method, route.url, tags),
        response: { ...(response as object), ...ERRORS_OF_ALL },
      };
      return describe({ ...route, schema });
    },
    transformObject: createJsonSchemaTransformObject({ schemaRegistry: NAMED, zodToJsonConfig: PLAIN }),
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY,
    uiConfig: { docExpansion: 'list', deepLinking: true },
  });
  let text: string | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
    text ??= JSON.stringify(app.swagger(), inWords);
    return reply.type('application/json; charset=utf-8').serializer(String).send(text);
  });
}

/** Gives answers that nothing is said of the words of HTTP, and leaves out what the library names besides. */
function inWords(key: string, value: unknown): unknown {
  if (key === 'ErrorInput') return undefined;
  if (value === null || typeof value !== 'object' || !/^[1-5](\d\d|XX)$/.test(key)) return value;
  const { description } = value as { readonly description?: string };
  if (description !== 'Default Response') return value;
  return {
    ...value,
    description: key.endsWith('XX') ? 'What went wrong.' : (STATUS_CODES[key] ?? 'The answer.'),
  };
}

const ERRORS_OF_ALL = { '4XX': ErrorAnswer, '5XX': ErrorAnswer };
