import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { LogController } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';

import { ERRORS, HeadwaterError } from '../core/errors.ts';
import { databaseError } from '../database/database-error.ts';
import type { App, Context, Routes } from './context.ts';
import { newHttpServer } from './platform/http-server.ts';
import type { StartSettings } from './settings.ts';

/** Longest body read where a route does not say otherwise, bytes: 1,000 announced files with long names. */
const MOST_BODY = 4 * 1024 * 1024;

/** The HTTP side of an information server: errors, the OpenAPI document and every subject's routes. */
export async function buildApp(
  context: Context,
  {
    tls,
    log,
    checkAnswers,
    trustedProxies,
  }: Pick<StartSettings, 'tls' | 'log' | 'checkAnswers' | 'trustedProxies'>,
  routes: readonly Routes[],
): Promise<App> {
  const app: App = fastify({
    bodyLimit: MOST_BODY,
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    serverFactory: (handler) => newHttpServer(handler, tls),
    // `request.ip` is who connects, or who a trusted proxy says it is: a header that anyone can send must not get round
    // the limits on logins.
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  // Holding an answer to its schema costs more than writing it; tests do it, so that no answer goes astray.
  app.setSerializerCompiler(checkAnswers ? serializerCompiler : () => (value) => JSON.stringify(value));
  app.setErrorHandler((error, request, reply) => {
    const known = asHeadwaterError(error);
    if (ERRORS[known.code].http >= 500)
      request.log.error({ err: error, route: request.routeOptions.url }, known.message);
    const { retryAfter } = known.details;
    if (typeof retryAfter === 'number') void reply.header('retry-after', Math.ceil(retryAfter));
    const { code, message, details } = known;
    return reply.status(ERRORS[code].http).send({ code, message, details });
  });
  app.setNotFoundHandler((request) => {
    throw new HeadwaterError('HW_NOT_FOUND', `there is nothing at ${request.method} ${request.url}`);
  });
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: 'Headwater', version: '1' } },
    transform: jsonSchemaTransform,
  });
  await app.register(swaggerUi, { routePrefix: '/docs' });
  for (const add of routes)
    await app.register(async (scope) => add(scope.withTypeProvider<ZodTypeProvider>(), context));
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  return app;
}

function asHeadwaterError(cause: unknown): HeadwaterError {
  if (hasZodFastifySchemaValidationErrors(cause)) {
    const [first] = cause.validation;
    const field = first?.instancePath.slice(1).replaceAll('/', '.') ?? '';
    const message = `${field === '' ? 'the request' : field}: ${first?.message ?? 'is wrong'}`;
    return new HeadwaterError('HW_USAGE', message, {
      cause,
      details: { field, where: cause.validationContext },
    });
  }
  const known = databaseError(cause);
  if (known instanceof HeadwaterError) return known;
  const { statusCode, message } = known as { statusCode?: number; message?: string };
  if (statusCode === 413) return new HeadwaterError('HW_TOO_LARGE', message ?? 'too large', { cause });
  if (statusCode !== undefined && statusCode < 500) {
    return new HeadwaterError('HW_USAGE', message ?? 'the request is wrong', { cause });
  }
  return new HeadwaterError('HW_INTERNAL', 'the server failed at answering this', { cause });
}
