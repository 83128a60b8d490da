import { createHash } from 'node:crypto';

import * as z from 'zod';

import { FLEET_EVENTS, type FleetEventKind } from '../../core/api/events.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { canonicalManifest, parseManifest, type Manifest } from '../../core/manifest.ts';
import type { ChunkStock } from './chunk-stock.ts';
import { Copier } from './copier.ts';
import { MOST_MANIFEST_ANSWER, TOKEN_MARGIN } from './limits.ts';
import { Peers } from './peers.ts';

/** Asks an information server as this server. `path` gets this server's id. */
export type AskFleet = (ask: {
  readonly method: 'GET' | 'POST';
  readonly path: (id: string) => string;
  readonly body?: object;
  /** Longest answer that is read, bytes. */
  readonly most?: number;
}) => Promise<unknown>;

const INTERNAL_TOKEN = z.object({ token: z.string(), expiresAt: z.iso.datetime() });

export interface ChunkWorkOptions {
  readonly stock: ChunkStock;
  readonly ask: AskFleet;
  /** The fleet's time, milliseconds since 1970. */
  readonly now: () => number;
  /** Bytes a second that are copied from other servers. */
  readonly copyRate: number;
  readonly onFault: (error: HeadwaterError) => void;
}

type Data<K extends FleetEventKind> = ReturnType<(typeof FLEET_EVENTS)[K]['parse']>;

/**
 * What the fleet makes this server do with chunks: hold contents, drop them, copy chunks from others. Each can be told twice,
 * late or out of order, and ends the same.
 */
export class ChunkWork {
  readonly peers: Peers;
  readonly copier: Copier;
  readonly #options: ChunkWorkOptions;
  #token: { readonly token: string; readonly until: number } | undefined;

  constructor(options: ChunkWorkOptions) {
    this.#options = options;
    const { stock, ask, copyRate, onFault } = options;
    this.peers = new Peers(() => ask({ method: 'GET', path: () => '/v1/servers/peers' }));
    this.copier = new Copier({
      stock,
      rate: copyRate,
      learn: (manifest) => this.#learn(manifest),
      token: () => this.#internalToken(),
      onFault,
    });
  }

  async held({ manifest }: Data<'content.held'>): Promise<void> {
    const content = await this.#manifest(manifest);
    if (content !== undefined) await this.#options.stock.held.hold(manifest, content);
  }

  /**
   * Holds a content, where chunks of it are here and a file refers to it.
   *
   * @throws HeadwaterError when the fleet cannot be asked
   */
  async find(manifest: string): Promise<void> {
    const content = await this.#manifest(manifest);
    if (content === undefined) return;
    const { store, held } = this.#options.stock;
    const isHere = content.chunks.some(
      (digest) => store.index.sizeOf(Buffer.from(digest, 'hex')) !== undefined,
    );
    if (isHere) await held.hold(manifest, content);
  }

  async dropped({ manifest }: Data<'content.dropped'>): Promise<void> {
    await this.unwanted([manifest]);
  }

  copy(order: Data<'chunks.copy'>): void {
    this.copier.order(order);
  }

  async drop({ manifest, chunks }: Data<'chunks.drop'>): Promise<void> {
    const { stock } = this.#options;
    await stock.held.release(manifest, chunks);
    void stock.sweep();
  }

  /** No file refers to these contents any more. */
  async unwanted(manifests: readonly string[]): Promise<void> {
    const { stock } = this.#options;
    for (const each of manifests) await stock.held.drop(each);
    void stock.sweep();
  }

  async close(): Promise<void> {
    await this.copier.close();
  }

  /** Makes the content known here; false: no file refers to it any more. */
  async #learn(manifest: string): Promise<boolean> {
    const { held } = this.#options.stock;
    if (held.packed(manifest) !== undefined) return true;
    const content = await this.#manifest(manifest);
    if (content === undefined) return false;
    held.learn(manifest, content);
    return true;
  }

  /** Undefined: the fleet does not know it any more. */
  async #manifest(digest: string): Promise<Manifest | undefined> {
    const { stock, ask } = this.#options;
    const known = stock.held.manifest(digest);
    if (known !== undefined) return known;
    let answer: unknown;
    try {
      answer = await ask({
        method: 'GET',
        path: () => `/v1/manifests/${digest}`,
        most: MOST_MANIFEST_ANSWER,
      });
    } catch (error) {
      if (error instanceof HeadwaterError && error.code === 'HW_NOT_FOUND') return undefined;
      throw error;
    }
    const manifest = parseManifest(JSON.stringify(answer), 'the fleet');
    const found = createHash('sha256').update(canonicalManifest(manifest)).digest('hex');
    if (found === digest) return manifest;
    throw new HeadwaterError('HW_MANIFEST_INVALID', `the fleet sent the manifest ${found} for ${digest}`);
  }

  async #internalToken(): Promise<string> {
    const { ask, now } = this.#options;
    if (this.#token !== undefined && now() < this.#token.until) return this.#token.token;
    const path = (id: string): string => `/v1/servers/${id}/internal-token`;
    const { token, expiresAt } = INTERNAL_TOKEN.parse(await ask({ method: 'POST', path, body: {} }));
    this.#token = { token, until: Date.parse(expiresAt) - TOKEN_MARGIN };
    return token;
  }
}
