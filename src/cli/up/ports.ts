import { createServer } from 'node:net';

import { HeadwaterError } from '../../core/errors.ts';

/** Port of the first information server when nothing is said: that, or the first free one above it. */
export const UP_PORT = 8_080;
/** Ports that are tried above a wanted one. */
const TRIED = 200;

/** Whether this port of this machine can be listened on now. */
export function isFree(address: string, port: number): Promise<boolean> {
  return free(address, port).then(
    (found) => found === port,
    () => false,
  );
}

/**
 * Gives ports that are free now, each once.
 */
export class Ports {
  readonly #address: string;
  readonly #given = new Set<number>();

  constructor(address: string) {
    this.#address = address;
  }

  /** This very port. @throws HeadwaterError `HW_LISTEN` */
  async exactly(port: number): Promise<number> {
    try {
      await free(this.#address, port);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      const why =
        code === 'EADDRINUSE'
          ? 'something listens there already; --port takes another one, 0 any free one'
          : `it cannot be listened on (${code ?? String(cause)})`;
      throw new HeadwaterError('HW_LISTEN', `port ${port} of ${this.#address}: ${why}`, { cause });
    }
    this.#given.add(port);
    return port;
  }

  /** This port where it is free; undefined where not. */
  async ifFree(port: number): Promise<number | undefined> {
    if (this.#given.has(port) || !(await isFree(this.#address, port))) return undefined;
    this.#given.add(port);
    return port;
  }

  /** The first free one from `port` up; from 0 any free one. @throws HeadwaterError `HW_LISTEN` */
  async from(port: number): Promise<number> {
    const last = port === 0 ? 0 : Math.min(port + TRIED, 65_536);
    for (let at = port; at < last; at++) {
      const found = await this.ifFree(at);
      if (found !== undefined) return found;
    }
    for (let tried = 0; tried < TRIED; tried++) {
      const found = await free(this.#address, 0).catch((cause: unknown) => {
        throw noPort(this.#address, cause);
      });
      if (this.#given.has(found)) continue;
      this.#given.add(found);
      return found;
    }
    throw noPort(this.#address, undefined);
  }
}

function noPort(address: string, cause: unknown): HeadwaterError {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  const why =
    code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EINVAL'
      ? `${address} is no address of this machine (${code}); --address takes one that it has`
      : `no port of ${address} is free${code === undefined ? '' : ` (${code})`}`;
  return new HeadwaterError('HW_LISTEN', why, { cause });
}

function free(address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === 'object' && bound !== null ? bound.port : port));
    });
  });
}
