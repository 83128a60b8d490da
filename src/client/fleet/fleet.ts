import type { LoginAnswer, User } from '../../core/api/accounts.ts';
import type { FleetEvent } from '../../core/api/events.ts';
import type { FileDetails, FileEntry } from '../../core/api/files.ts';
import type { ServerEntry } from '../../core/api/servers.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { TransportSettings } from '../../transport/connection.ts';
import type { DownloadReport } from '../types.ts';
import type { UploadOptions, UploadReport, UploadSource } from '../upload/types.ts';
import { uploadToFleet } from '../upload/upload.ts';
import { FleetClient } from './fleet-client.ts';
import { fileNamed } from './file-named.ts';
import { downloadFromFleet, type FleetDownloadOptions } from './fleet-download.ts';
import { follow } from './follow.ts';
import { pagesOf } from './pages.ts';

/** Who is calling: a session token or an API key, or an account. */
export type FleetCredentials =
  | { readonly token: string }
  | { readonly email: string; readonly password: string };

export interface FleetOptions {
  /** PEM texts, and whether any certificate will do. */
  tls?: TransportSettings['tls'];
  /** Proxies: `true` (default) follows HTTP_PROXY, HTTPS_PROXY and NO_PROXY, `false` goes straight. */
  proxy?: boolean;
  signal?: AbortSignal;
}

export interface ListOptions {
  /** Part of the name, in any case. */
  search?: string;
  /** A leading minus turns the order round. Default `name`. */
  sort?: 'name' | '-name' | 'size' | '-size' | 'createdAt' | '-createdAt';
  /** Most files. Default: all. */
  limit?: number;
  signal?: AbortSignal;
}

export interface EventsOptions {
  /** Position of the last event that is known; those after it come. Default: what happens from now on. */
  after?: number;
  signal?: AbortSignal;
}

/**
 * Calls a fleet.
 *
 * @param addresses of one or several information servers, such as `https://fleet.example`; the others are learned
 * @param who a token, or an account, which is logged in with and logged out of when the fleet is closed
 * @throws HeadwaterError `HW_USAGE`, `HW_LOGIN`, `HW_TOKEN_INVALID`, `HW_TOKEN_EXPIRED`, `HW_CONNECT`, `HW_SILENT` and others
 */
export async function connect(
  addresses: string | URL | readonly (string | URL)[],
  who: FleetCredentials,
  { tls, proxy, signal }: FleetOptions = {},
): Promise<Fleet> {
  const several = typeof addresses === 'string' || addresses instanceof URL ? [addresses] : addresses;
  const client = new FleetClient({
    addresses: several,
    ...(tls !== undefined && { tls }),
    ...(proxy !== undefined && { proxy }),
  });
  try {
    if ('token' in who) client.token = who.token;
    else client.token = (await logIn(client, who, signal)).token;
    const [user, about] = await Promise.all([
      client.ask<User>('GET', 'v1/me', { signal }),
      client.about(signal),
    ]);
    return new Fleet(client, about.id, user, 'token' in who ? 'keep' : 'log out');
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** @throws HeadwaterError `HW_LOGIN`, `HW_TOO_MANY` */
export function logIn(
  client: FleetClient,
  { email, password }: { readonly email: string; readonly password: string },
  signal?: AbortSignal,
): Promise<LoginAnswer> {
  const body = { email, password };
  return client.ask<LoginAnswer>('POST', 'v1/auth/login', { body, signal, repeatable: true });
}

/** A fleet that one is logged in to: its files and its servers. Made by `connect`; to be closed. */
export class Fleet {
  /** Of the fleet itself. */
  readonly id: string;
  /** Who is calling. */
  readonly user: User;
  readonly #client: FleetClient;
  readonly #atEnd: 'keep' | 'log out';

  /** Made by `connect`. */
  constructor(client: FleetClient, id: string, user: User, atEnd: 'keep' | 'log out') {
    this.#client = client;
    this.id = id;
    this.user = user;
    this.#atEnd = atEnd;
  }

  /** Files that the account may see, page by page as they are asked for. */
  list({ search, sort, limit, signal }: ListOptions = {}): AsyncGenerator<FileEntry> {
    return pagesOf<FileEntry>(this.#client, 'v1/files', { search, sort }, { limit, signal });
  }

  /** @throws HeadwaterError `HW_NOT_FOUND` */
  info(nameOrId: string, signal?: AbortSignal): Promise<FileDetails> {
    return fileNamed<FileDetails>(this.#client, nameOrId, signal);
  }

  /**
   * Downloads a file from every server that holds it. Options and errors as of `download`; the fleet says the rest.
   *
   * @param nameOrId the file's name in the fleet, or its id
   */
  download(nameOrId: string, options: FleetDownloadOptions = {}): Promise<DownloadReport> {
    return downloadFromFleet(this.#client, nameOrId, options);
  }

  /**
   * Publishes a file: its chunks go to the fleet's servers, as many copies of each as asked for. Nobody sees it before they
   * are there. Stopped or broken off, the same call goes on: what the fleet has is not sent again.
   *
   * @param source a path; or a stream, which needs a `name` and goes to a temporary file first
   * @throws HeadwaterError `HW_CONFLICT` (the name is taken), `HW_INPUT_CHANGED`, `HW_NO_ROOM`, `HW_INTERRUPTED`, `HW_DISK`
   */
  upload(source: UploadSource, options: UploadOptions = {}): Promise<UploadReport> {
    return uploadToFleet(this.#client, source, options);
  }

  /** Gives a file another name. @throws HeadwaterError `HW_NOT_FOUND`, `HW_FORBIDDEN`, `HW_CONFLICT` (the name is taken) */
  async rename(nameOrId: string, name: string, signal?: AbortSignal): Promise<FileDetails> {
    const { id } = await this.info(nameOrId, signal);
    return this.#client.ask<FileDetails>('PATCH', `v1/files/${id}`, { body: { name }, signal });
  }

  /** Deletes a file from the fleet. @throws HeadwaterError `HW_NOT_FOUND`, `HW_FORBIDDEN` */
  async remove(nameOrId: string, signal?: AbortSignal): Promise<void> {
    const { id } = await this.info(nameOrId, signal);
    await this.#client.ask('DELETE', `v1/files/${id}`, { signal });
  }

  /** The fleet's file servers. */
  async servers(signal?: AbortSignal): Promise<ServerEntry[]> {
    const servers: ServerEntry[] = [];
    for await (const each of pagesOf<ServerEntry>(this.#client, 'v1/servers', {}, { signal }))
      servers.push(each);
    return servers;
  }

  /** What happens in the fleet, as it happens, for as long as it is asked for. Nothing is left out or told twice. */
  events({ after, signal }: EventsOptions = {}): AsyncGenerator<FleetEvent> {
    return follow(this.#client, { after, signal });
  }

  /** Logs out, where `connect` logged in, and closes the connections. */
  async close(): Promise<void> {
    try {
      if (this.#atEnd === 'log out') await this.#client.ask('POST', 'v1/auth/logout', { patience: 0 });
    } catch (error) {
      // The session ends by itself.
      if (!(error instanceof HeadwaterError)) throw error;
    } finally {
      await this.#client.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
