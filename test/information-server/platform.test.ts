import assert from 'node:assert/strict';
import { it } from 'node:test';

import { startTestServer } from './start.ts';

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly security: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
  }[];
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: object }>>;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly tags: readonly { readonly name: string }[];
  readonly components: {
    readonly schemas: Readonly<Record<string, unknown>>;
    readonly securitySchemes: Readonly<Record<string, unknown>>;
  };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** Routes that anyone may ask. */
const OPEN = ['/.well-known/jwks.json', '/healthz', '/metrics', '/readyz', '/v1/auth/login', '/v1/fleet'];

it('the OpenAPI document tells of every route: what it does, takes, answers and refuses', async () => {
  await using test = await startTestServer();
  const { status, headers, body } = await test.ask('GET', '/openapi.json', undefined, null);
  assert.equal(status, 200);
  assert.match(headers.get('content-type') ?? '', /^application\/json/);
  const document = body as Document;
  assert.match(document.openapi, /^3\.1\.\d$/);
  const tags = document.tags.map(({ name }) => name);
  const ids = new Set<string>();
  const open: string[] = [];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const said = `${method} ${path}`;
      assert.ok(operation.summary.length > 5, said);
      assert.ok(operation.tags.length > 0 && operation.tags.every((tag) => tags.includes(tag)), said);
      assert.ok(!ids.has(operation.operationId), `${said}: ${operation.operationId} is there twice`);
      ids.add(operation.operationId);
      if (operation.security.length === 0) open.push(path);
      for (const scheme of operation.security.flatMap((each) => Object.keys(each))) {
        assert.ok(scheme in document.components.securitySchemes, said);
      }
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const named = (operation.parameters ?? []).filter((each) => each.in === 'path');
      assert.deepEqual(new Set(named.map(({ name }) => name)), new Set(inPath), said);
      assert.ok(
        named.every(({ required }) => required === true),
        said,
      );
      const statuses = Object.keys(operation.responses);
      assert.ok(
        statuses.some((each) => each.startsWith('2')),
        said,
      );
      assert.ok(statuses.includes('4XX') && statuses.includes('5XX'), said);
      for (const response of Object.values(operation.responses))
        assert.equal(typeof response.description, 'string');
    }
  }
  assert.deepEqual(open.sort(), OPEN);
  for (const [, name = ''] of JSON.stringify(document).matchAll(
    /"\$ref":"#\/components\/schemas\/([^"]+)"/g,
  )) {
    assert.ok(name in document.components.schemas, name);
  }
  assert.ok('Error' in document.components.schemas);
});

it('every route that needs a token refuses a request without one', async () => {
  await using test = await startTestServer();
  const { paths } = (await test.ask('GET', '/openapi.json')).body as Document;
  const id = '0190163d-8694-739b-aea5-966c26f8ad91';
  for (const [path, item] of Object.entries(paths)) {
    if (OPEN.includes(path)) continue;
    for (const method of Object.keys(item)) {
      const real = path.replaceAll(/\{(id|server|digest)\}/g, (_all, name) =>
        name === 'digest' ? '0'.repeat(64) : id,
      );
      const answer = await test.ask(method.toUpperCase(), real, undefined, null);
      const { code } = answer.body as { code: string };
      // What is wrong with the request itself may be said first.
      assert.ok(answer.status === 401 || answer.status === 400, `${method} ${path}: ${answer.status}`);
      assert.ok(['HW_TOKEN_MISSING', 'HW_USAGE'].includes(code), `${method} ${path}: ${code}`);
      const forged = await test.ask(method.toUpperCase(), real, undefined, 'forged');
      assert.ok(forged.status === 401 || forged.status === 400, `${method} ${path}: ${forged.status}`);
    }
  }
});

it('the page of the documentation loads nothing from elsewhere, on plain http too', async () => {
  await using test = await startTestServer();
  const page = await fetch(`${test.url}/docs/`);
  assert.equal(page.status, 200);
  const policy = page.headers.get('content-security-policy') ?? '';
  assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
  assert.doesNotMatch(policy, /unsafe|https:|upgrade-insecure-requests/);
  const text = await page.text();
  // No script or style of its own, which the policy would not let run.
  assert.doesNotMatch(text, /<script(?![^>]* src=)|<style|style="|onload=/);
  const files = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file);
  assert.ok(files.length >= 4);
  for (const file of files) {
    const url = new URL(file, page.url);
    assert.equal(url.origin, test.url);
    const answer = await fetch(url);
    assert.equal(answer.status, 200, file);
    await answer.arrayBuffer();
  }
});

it('the figures are what Prometheus reads', async () => {
  await using test = await startTestServer();
  await test.ask('GET', '/v1/me');
  await test.ask('GET', '/v1/me', undefined, 'forged');
  await test.ask('POST', '/v1/auth/login', { email: 'a@example.org', password: 'not it at all' }, null);
  const { headers, body } = await test.ask('GET', '/metrics', undefined, null);
  assert.equal(headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const text = String(body);
  const LINE =
    /^(# (HELP|TYPE) [a-z_0-9]+ .+|[a-z_0-9]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? [-+.0-9eInf]+)$/;
  const lines = text.trimEnd().split('\n');
  for (const line of lines) assert.match(line, LINE);
  for (const line of [
    'headwater_http_requests_total{route="/v1/me",method="GET",status="200"} 1',
    'headwater_http_requests_total{route="/v1/me",method="GET",status="401"} 1',
    'headwater_http_errors_total{code="HW_TOKEN_INVALID"} 1',
    'headwater_http_request_seconds_count{route="/v1/me"} 2',
    'headwater_logins_total{outcome="refused"} 1',
    'headwater_leader 1',
    'headwater_database_up 1',
    'headwater_information_servers 1',
  ]) {
    assert.ok(lines.includes(line), `${line} is not among\n${text}`);
  }
  assert.match(text, /^process_resident_memory_bytes [1-9]\d+$/m);
  // Every figure is told of once.
  const told = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ')[2]);
  assert.equal(new Set(told).size, told.length);
});

it('tells which fleet it is, the same on every server and after a restart', async () => {
  await using test = await startTestServer();
  const other = await test.another();
  const ids = new Set<string>();
  for (const url of [test.url, other.url]) {
    const about = (await (await fetch(`${url}/v1/fleet`)).json()) as {
      id: string;
      informationServers: string[];
    };
    ids.add(about.id);
    assert.equal(about.informationServers[0], url);
  }
  await test.server.close();
  const again = await test.another();
  ids.add(((await (await fetch(`${again.url}/v1/fleet`)).json()) as { id: string }).id);
  assert.equal(ids.size, 1);
});
