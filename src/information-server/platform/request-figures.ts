import type { App, Context } from '../context.ts';

/** Counts and times every request by its route, and writes a line for each where the log takes them. */
export function countRequests(app: App, { metrics, log }: Context): void {
  const requests = metrics.counter(
    'headwater_http_requests_total',
    'Requests answered, by route and status.',
  );
  const seconds = metrics.histogram(
    'headwater_http_request_seconds',
    'Time from a request to the end of its answer, by route.',
  );
  const isDebug = log.level === 'debug' || log.level === 'trace';
  app.addHook('onResponse', (request, reply, done) => {
    const { url: route = 'none' } = request.routeOptions;
    const { method } = request;
    const { statusCode } = reply;
    requests.add(1, { route, method, status: String(statusCode) });
    seconds.observe(reply.elapsedTime / 1000, { route });
    if (isDebug) {
      // The route, not the path: a query can hold a token.
      log.debug(
        { method, route, status: statusCode, ms: reply.elapsedTime, address: request.ip },
        'answered',
      );
    }
    done();
  });
}
