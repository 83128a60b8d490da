import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';

import type { Role } from '../../src/core/api/accounts.ts';
import { digestOf } from '../../src/information-server/authentication.ts';
import {
  startInformationServer,
  type InformationServer,
} from '../../src/information-server/information-server.ts';
import type { InformationServerOptions } from '../../src/information-server/options.ts';
import { newId } from '../../src/database/ids.ts';
import type { Database, DatabaseKind } from '../../src/database/database.ts';
import { makeDatabase } from '../unit/database/each-database.ts';

/** What a server answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON, else text. */
  readonly body: unknown;
}

/** A real information server on a temporary database, with an admin who is logged in. */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly server: InformationServer;
  /** Its database, opened once more beside it. */
  readonly database: Database;
  /** What `openDatabase` takes. */
  readonly where: string;
  /** Its data folder. */
  readonly data: string;
  readonly joinToken: string;
  /** Session token of an admin, admin@example.org. */
  readonly admin: string;
  /** Makes another account, logged in. Its password is not known. */
  user(
    role: Role,
    email?: string,
  ): Promise<{ readonly id: string; readonly email: string; readonly token: string }>;
  /** `ask('GET', '/v1/me')`: as the admin unless a token (or null for none) says otherwise. */
  ask(method: string, path: string, body?: unknown, token?: string | null): Promise<Answer>;
  /** Starts another information server on the same database, and closes it at the end. */
  another(options?: Partial<InformationServerOptions>): Promise<InformationServer>;
}

/** Listens on loopback, and holds every answer to its schema. */
export async function startTestServer(
  kind: DatabaseKind = 'sqlite',
  options: Partial<InformationServerOptions> = {},
): Promise<TestServer> {
  const made = await makeDatabase(kind);
  const { database, where } = made;
  const data = await mkdtemp(join(tmpdir(), 'headwater-information-'));
  const others: InformationServer[] = [];
  const start = (more: Partial<InformationServerOptions> = {}): Promise<InformationServer> =>
    startInformationServer({
      data,
      database: where,
      address: '127.0.0.1',
      port: 0,
      checkAnswers: true,
      ...options,
      ...more,
    });
  try {
    const server = await start();
    const user: TestServer['user'] = async (role, email = `${role}-${newId()}@example.org`) => {
      const id = newId();
      const token = randomBytes(24).toString('base64url');
      const now = Date.now();
      await database.queries
        .insertInto('users')
        .values({ id, email, role, password: 'none', disabled: 0, created_at: now })
        .execute();
      await database.queries
        .insertInto('sessions')
        .values({ digest: digestOf(token), user_id: id, created_at: now, expires_at: now + 3_600_000 })
        .execute();
      return { id, email, token };
    };
    const admin = (await user('admin', 'admin@example.org')).token;
    return {
      url: server.url,
      server,
      database,
      where,
      data,
      joinToken: options.joinToken ?? (await readFile(join(data, 'join-token'), 'utf8')).trim(),
      admin,
      user,
      ask: (method, path, body, token = admin) => ask(`${server.url}${path}`, method, body, token),
      another: async (more) => {
        const other = await start(more);
        others.push(other);
        return other;
      },
      async [Symbol.asyncDispose]() {
        await Promise.all([server, ...others].map((each) => each.close()));
        await made[Symbol.asyncDispose]();
        await rm(data, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await made[Symbol.asyncDispose]();
    await rm(data, { recursive: true, force: true });
    throw error;
  }
}

/** One request. */
export async function ask(
  url: string,
  method: string,
  body?: unknown,
  token: string | null = null,
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== '' ? JSON.parse(text) : text,
  };
}
