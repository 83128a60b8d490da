import fastify, { LogController } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';

import type { App, Context, Routes } from './context.ts';
import { answerClientError, errorHandler, nothingThere } from './platform/error-answer.ts';
import { newHttpServer } from './platform/http-server.ts';
import { describeRoutes } from './platform/openapi.ts';
import { processFigures } from './platform/process-figures.ts';
import { countRequests } from './platform/request-figures.ts';
import type { StartSettings } from './settings.ts';

/** Longest body read where a route does not say otherwise, bytes: 1,000 announced files with long names. */
const MOST_BODY = 4 * 1024 * 1024;
/** Longest part of a path that a route takes as a parameter: an email. */
const MOST_PARAMETER = 300;

/** The HTTP side of an information server: errors, the OpenAPI document and every subject's routes. */
export async function buildApp(
  context: Context,
  { tls, log, checkAnswers, trustedProxies }: StartSettings,
  routes: readonly Routes[],
): Promise<App> {
  const answerError = errorHandler(context.metrics);
  const app: App = fastify({
    bodyLimit: MOST_BODY,
    routerOptions: { maxParamLength: MOST_PARAMETER },
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    serverFactory: (handler) => newHttpServer(handler, tls),
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    // What comes on connections that are open already is still answered while the server stops.
    return503OnClosing: false,
    // `request.ip` is who connects: a header that anyone can send must not get round the limits on logins.
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  // Holding an answer to its schema costs more than writing it; tests do it, so that no answer goes astray.
  app.setSerializerCompiler(checkAnswers ? serializerCompiler : () => (value) => JSON.stringify(value));
  takeEmptyBodies(app);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler(nothingThere);
  app.addHook('onRequest', (_request, reply, done) => {
    void reply.header('x-content-type-options', 'nosniff');
    done();
  });
  countRequests(app, context);
  processFigures(context);
  await describeRoutes(app);
  for (const add of routes)
    await app.register(async (scope) => add(scope.withTypeProvider<ZodTypeProvider>(), context));
  return app;
}

/** Many clients say that a body is JSON where there is none: that is no body. */
function takeEmptyBodies(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body: string, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body, done);
  });
}
