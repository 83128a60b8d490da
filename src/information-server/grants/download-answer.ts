import type { Download, DownloadSource } from '../../core/api/files.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import type { Context } from '../context.ts';
import type { FileFacts } from '../files/file-facts.ts';
import { manifestTextsOf } from '../files/manifest-texts.ts';
import { GRANT_AUDIENCE, signGrant } from '../keys/grant-token.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import type { Granted } from './grant-batches.ts';
import type { Holders } from './holders.ts';
import { forNewDownload, sourcesOf } from './sources.ts';

/**
 * Most chunks of a manifest that comes with the grant: about 72 kB of JSON, so that a file of 1 GiB needs no second
 * request. A larger one is fetched by itself, and can be kept by whoever is on the way.
 */
const MOST_INLINE_CHUNKS = 1_100;

/** The JWT of a grant. */
export function tokenOf(
  { id, userId, at, expiresAt, file }: Pick<Granted, 'id' | 'userId' | 'at' | 'expiresAt' | 'file'>,
  signer: SigningKey,
  fleet: string,
): Promise<string> {
  return signGrant(signer, {
    iss: fleet,
    aud: GRANT_AUDIENCE,
    sub: userId,
    jti: id,
    iat: Math.floor(at / 1000),
    exp: Math.floor(expiresAt / 1000),
    file: file.id,
    manifest: file.manifestSha256,
  });
}

/**
 * The answer to `POST files/:id/downloads` in JSON (`Download`). Put together from texts: that of the manifest and, for a
 * moment, that of the sources are the same for everyone who asks for the file.
 */
export async function downloadAnswer(
  granted: Granted,
  zone: string | undefined,
  signer: SigningKey,
  context: Context,
): Promise<string> {
  const { id, expiresAt, file, holders } = granted;
  const { id: fileId, name, size, sha256, manifestSha256 } = file;
  const head: Pick<Download, 'id' | 'token' | 'expiresAt' | 'file' | 'version'> = {
    id,
    token: await tokenOf(granted, signer, context.fleet),
    expiresAt: new Date(expiresAt).toISOString(),
    file: { id: fileId, name, size, sha256, manifestSha256 },
    version: holders.version,
  };
  const manifest = await manifestPart(file, context);
  return `${JSON.stringify(head).slice(0, -1)},${manifest},"sources":${sourcesText(file, holders, zone)}}`;
}

/** Where a file's manifest is. */
export function manifestUrlOf(fileId: string, { settings }: Context): string {
  return `${settings.publicUrl}/v1/files/${fileId}/manifest`;
}

async function manifestPart(file: FileFacts, context: Context): Promise<string> {
  if (new ChunkLayout(file.size, file.chunkSize).count <= MOST_INLINE_CHUNKS)
    return `"manifest":${await manifestTextsOf(context).get(file)}`;
  return `"manifestUrl":${JSON.stringify(manifestUrlOf(file.id, context))}`;
}

/** Texts of sources for as long as their holders are remembered: by file and zone, since contents can have two files. */
const texts = new WeakMap<Holders, Map<string, string>>();

function sourcesText({ id }: FileFacts, holders: Holders, zone: string | undefined): string {
  // A zone in which nobody is orders them as no zone does: clients cannot make up any number of texts.
  const known = holders.list.some((holder) => holder.zone === zone) ? zone : undefined;
  let byFile = texts.get(holders);
  if (byFile === undefined) texts.set(holders, (byFile = new Map()));
  const key = `${id} ${known ?? ''}`;
  let text = byFile.get(key);
  if (text === undefined) {
    const sources: DownloadSource[] = sourcesOf(forNewDownload(holders.list), id, known);
    byFile.set(key, (text = JSON.stringify(sources)));
  }
  return text;
}
