import { FEED_EVENTS, type FleetEvent } from '../../core/api/events.ts';
import type { Caller } from '../authentication.ts';
import type { Context } from '../context.ts';
import { listedReaders, maySeeWithoutList, readerKey } from '../files/may-see.ts';

export type FeedKind = (typeof FEED_EVENTS)[number];

/** What everyone who is logged in may know: which servers there are. */
const FOR_EVERYONE: readonly FeedKind[] = ['server.joined', 'server.state', 'server.gone'];
/** What concerns files: for those who may see them. */
const ABOUT_FILES: readonly FeedKind[] = [
  'file.published',
  'file.renamed',
  'file.deleted',
  'file.visibility',
  'holding.lost',
];
/** Own downloads. */
const ABOUT_DOWNLOADS: readonly FeedKind[] = ['download.started', 'download.ended'];

/** Kinds of events that an account may see some of. */
export function kindsFor({ role }: Caller): readonly FeedKind[] {
  return role === 'admin' ? FEED_EVENTS : [...FOR_EVERYONE, ...ABOUT_FILES, ...ABOUT_DOWNLOADS];
}

interface Told {
  readonly file?: unknown;
  readonly files?: unknown;
  readonly user?: unknown;
}

/**
 * Of these events what an account may see, as people are told it: an admin all, others which servers there are, their own
 * downloads, and what happens to files that they may see now.
 */
export async function visibleEvents(
  context: Context,
  caller: Caller,
  events: readonly FleetEvent[],
): Promise<FleetEvent[]> {
  // Whom else it is for is a list of servers, which may be long.
  const plain = events.map((event) => ({ ...event, audience: 'people' as const }));
  if (caller.role === 'admin' || plain.length === 0) return plain;
  const seen = await visibleFiles(context, caller, [...new Set(plain.flatMap(filesIn))]);
  return plain.flatMap((event) => {
    const kind = event.kind as FeedKind;
    if (FOR_EVERYONE.includes(kind)) return [event];
    const data: Told = event.data;
    if (ABOUT_DOWNLOADS.includes(kind)) return data.user === caller.email ? [event] : [];
    if (!ABOUT_FILES.includes(kind)) return [];
    if (typeof data.file === 'string') return seen.has(data.file) ? [event] : [];
    if (!Array.isArray(data.files)) return [];
    const files = data.files.filter((each: { id?: unknown }) => seen.has(String(each.id)));
    return files.length === 0 ? [] : [{ ...event, data: { ...event.data, files } }];
  });
}

function filesIn({ data }: FleetEvent): string[] {
  const { file, files }: Told = data;
  const ids = Array.isArray(files) ? files.map((each: { id?: unknown }) => each.id) : [];
  return [file, ...ids].filter((id) => typeof id === 'string');
}

async function visibleFiles(
  { database: { queries } }: Context,
  caller: Caller,
  ids: readonly string[],
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const found = await queries
    .selectFrom('files')
    .select(['id', 'visibility', 'owner_id as ownerId'])
    .where('id', 'in', ids)
    .execute();
  const rows = found.map((row) => ({ ...row, ownerId: row.ownerId ?? undefined }));
  const unclear = rows.filter((file) => maySeeWithoutList(file, caller) !== true);
  const pairs = unclear.map(({ id }) => ({ fileId: id, userId: caller.id }));
  const listed = await listedReaders(queries, pairs);
  return new Set(
    rows
      .filter((file) => maySeeWithoutList(file, caller) === true || listed.has(readerKey(file.id, caller.id)))
      .map(({ id }) => id),
  );
}
