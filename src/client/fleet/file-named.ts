import type { FileEntry } from '../../core/api/files.ts';
import { HeadwaterError } from '../../core/errors.ts';
import type { FleetClient } from './fleet-client.ts';

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The details of a file of the fleet, by name or id; what looks like an id can be a name all the same.
 *
 * @throws HeadwaterError `HW_NOT_FOUND`
 */
export async function fileNamed<T extends Pick<FileEntry, 'id'>>(
  client: FleetClient,
  nameOrId: string,
  signal?: AbortSignal,
): Promise<T> {
  if (ID.test(nameOrId)) {
    try {
      return await client.ask<T>('GET', `v1/files/${nameOrId}`, { signal });
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.code !== 'HW_NOT_FOUND') throw error;
    }
  }
  return client.ask<T>('GET', 'v1/files/by-name', { query: { name: nameOrId }, signal });
}
