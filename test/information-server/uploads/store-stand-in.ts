import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { InternalClaims } from '../../../src/core/api/uploads.ts';
import { packManifest } from '../../../src/core/manifest-binary.ts';
import { MANIFEST_BINARY_TYPE } from '../../../src/core/manifest-binary.ts';
import type { UploadAnswer } from '../../../src/core/api/uploads.ts';
import { decodeJwt } from 'jose';
import { FileServer, type MadeUp } from '../servers/file-server.ts';
import type { Answer, TestServer } from '../start.ts';

const GIB = 2 ** 30;

/** A file server of which only the index of its chunk store is there: it says which chunks it has. */
export interface StoreStandIn extends AsyncDisposable {
  readonly name: string;
  readonly server: FileServer;
  readonly zone: string;
  /** Digests. */
  readonly has: Set<string>;
  /** Questions that it was asked. */
  readonly asked: string[][];
  /** Answers 503 as long as it is true. */
  isAway: boolean;
  /** Says how it is. */
  beat(change?: Record<string, unknown>): Promise<void>;
}

export async function storeStandIn(fleet: TestServer, name: string, zone = 'east'): Promise<StoreStandIn> {
  const has = new Set<string>();
  const asked: string[][] = [];
  const http = createServer((request, response) => {
    void (async () => {
      const parts: Buffer[] = [];
      for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
      const [, token = ''] = (request.headers.authorization ?? '').split(' ');
      InternalClaims.parse(decodeJwt(token));
      const { digests } = JSON.parse(Buffer.concat(parts).toString()) as { digests: string[] };
      asked.push(digests);
      const bits = Buffer.alloc(Math.ceil(digests.length / 8));
      for (const [index, digest] of digests.entries())
        if (has.has(digest)) bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
      response.statusCode = standIn.isAway || request.url !== '/v1/chunks/check' ? 503 : 200;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ has: bits.toString('base64') }));
    })();
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const server = new FileServer(fleet, name);
  await server.register({ zone, url: `http://127.0.0.1:${port}` });
  const standIn: StoreStandIn = {
    name,
    server,
    zone,
    has,
    asked,
    isAway: false,
    async beat(change = {}) {
      const store = { capacity: 100 * GIB, chunks: has.size, bytes: 0, open: true };
      const beaten = await server.beat({ store, ...change });
      if (beaten.status !== 200) throw new Error(JSON.stringify(beaten.body));
    },
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
  await standIn.beat();
  return standIn;
}

/** The compact form of its manifest. */
export function packed({ manifest }: MadeUp): Uint8Array {
  return packManifest(manifest, Buffer.from(manifest.chunks.join(''), 'hex'));
}

/** Begins an upload; throws where that is refused. */
export async function begin(
  fleet: TestServer,
  request: Record<string, unknown>,
  token = fleet.admin,
): Promise<UploadAnswer> {
  const answer = await fleet.ask('POST', '/v1/uploads', request, token);
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return answer.body as UploadAnswer;
}

export async function commit(
  fleet: TestServer,
  upload: string,
  content: MadeUp | Uint8Array,
  token = fleet.admin,
): Promise<Answer> {
  const response = await fetch(`${fleet.url}/v1/uploads/${upload}/commit`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': MANIFEST_BINARY_TYPE },
    body: Buffer.from(content instanceof Uint8Array ? content : packed(content)),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}
