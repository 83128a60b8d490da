import { sql } from 'kysely';

import type { Database } from '../../database/database.ts';
import { perContext } from '../per-context.ts';

/** Files looked at: enough to tell one in a hundred from one in a thousand, and read in some milliseconds. */
const SAMPLED = 2_000;
/** Milliseconds for which a sample stands: what is common stays common. */
const SAMPLE_AGE = 60_000;
/** Files up to which no sample is needed: reading them all takes a millisecond. */
export const FEW_FILES = 20_000;

/** What lists are searched and sorted by. */
export interface SampledFile {
  readonly name_folded: string;
  readonly size: number;
  readonly created_at: number;
}

/** Some files by chance. */
export interface FileSample {
  /** About how many files there are; never less. */
  readonly files: number;
  readonly rows: readonly SampledFile[];
  /** The same in the order of each list. */
  readonly sorted: Readonly<Record<keyof SampledFile, readonly SampledFile[]>>;
}

/** Remembers a sample; an old one is used until there is a new one. */
class FileSamples {
  readonly #database: Database;
  #sample: { readonly it: FileSample; readonly at: number } | undefined;
  #reading: Promise<FileSample> | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  async get(): Promise<FileSample> {
    const known = this.#sample;
    const isOld =
      known === undefined || performance.now() - known.at > SAMPLE_AGE || known.it.rows.length === 0;
    if (!isOld) return known.it;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    if (known === undefined || known.it.rows.length === 0) return this.#reading;
    // Whoever asks next will have it; if it fails, the next one tries again.
    this.#reading.catch(() => undefined);
    return known.it;
  }

  async #read(): Promise<FileSample> {
    const { queries, kind } = this.#database;
    const { most } = await queries
      .selectFrom('files')
      .select((is) => is.fn.max('number').as('most'))
      .executeTakeFirstOrThrow();
    const files = most ?? 0;
    let rows: SampledFile[] = [];
    if (files > FEW_FILES) {
      const numbers = Array.from({ length: SAMPLED }, () => Math.ceil(Math.random() * files));
      const list =
        kind === 'postgresql'
          ? sql`select value::bigint from json_array_elements_text(${JSON.stringify(numbers)}::json) as value`
          : sql`select value from json_each(${JSON.stringify(numbers)})`;
      rows = await queries
        .selectFrom('files')
        .select(['name_folded', 'size', 'created_at'])
        .where('number', 'in', sql<number>`(${list})`)
        .where('deleted_at', 'is', null)
        .execute();
    }
    const it = { files, rows, sorted: sortedBy(rows) };
    this.#sample = { it, at: performance.now() };
    return it;
  }
}

function sortedBy(rows: readonly SampledFile[]): FileSample['sorted'] {
  const by = (column: keyof SampledFile): SampledFile[] =>
    [...rows].sort((one, other) => (one[column] < other[column] ? -1 : one[column] > other[column] ? 1 : 0));
  return { name_folded: by('name_folded'), size: by('size'), created_at: by('created_at') };
}

export const fileSamplesOf = perContext(({ database }) => new FileSamples(database));
