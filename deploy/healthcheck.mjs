// Ends with 0 when the server in this container answers: node healthcheck.mjs [URL]. Plain, and without curl, because the
// image has none.
const url = process.argv[2] ?? process.env.HEADWATER_HEALTH_URL ?? 'http://127.0.0.1:8080/healthz';
/** Less than the container engine's own limit, so that the reason is said. */
const PATIENCE = 4_000;

try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${text.slice(0, 500)}`);
} catch (error) {
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
  console.error(`${error instanceof Error ? error.message : String(error)}${cause}`);
  process.exitCode = 1;
}
