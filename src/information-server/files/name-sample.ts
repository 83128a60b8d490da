import { sql } from 'kysely';

import type { Database } from '../../database/database.ts';
import { perContext } from '../per-context.ts';

/** Names looked at: enough to tell one in a hundred from one in a thousand, and read in some milliseconds. */
const SAMPLED = 2_000;
/** Milliseconds for which a sample stands: what is common stays common. */
const SAMPLE_AGE = 60_000;
/** Files up to which no sample is needed: reading them all takes a millisecond. */
export const FEW_FILES = 20_000;

/** Some files' names by chance, as they are searched. */
export interface NameSample {
  /** About how many files there are; never less. */
  readonly files: number;
  readonly names: readonly string[];
}

/** Remembers a sample; an old one is used until there is a new one. */
class NameSamples {
  readonly #database: Database;
  #sample: { readonly it: NameSample; readonly at: number } | undefined;
  #reading: Promise<NameSample> | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  async get(): Promise<NameSample> {
    const known = this.#sample;
    const isOld =
      known === undefined || performance.now() - known.at > SAMPLE_AGE || known.it.names.length === 0;
    if (!isOld) return known.it;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    if (known === undefined || known.it.names.length === 0) return this.#reading;
    // Whoever asks next will have it; if it fails, the next one tries again.
    this.#reading.catch(() => undefined);
    return known.it;
  }

  async #read(): Promise<NameSample> {
    const { queries, kind } = this.#database;
    const { most } = await queries
      .selectFrom('files')
      .select((is) => is.fn.max('number').as('most'))
      .executeTakeFirstOrThrow();
    const files = most ?? 0;
    let names: string[] = [];
    if (files > FEW_FILES) {
      const numbers = Array.from({ length: SAMPLED }, () => Math.ceil(Math.random() * files));
      const list =
        kind === 'postgresql'
          ? sql`select value::bigint from json_array_elements_text(${JSON.stringify(numbers)}::json) as value`
          : sql`select value from json_each(${JSON.stringify(numbers)})`;
      const rows = await queries
        .selectFrom('files')
        .select('name_folded')
        .where('number', 'in', sql<number>`(${list})`)
        .where('deleted_at', 'is', null)
        .execute();
      names = rows.map((row) => row.name_folded);
    }
    const it = { files, names };
    this.#sample = { it, at: performance.now() };
    return it;
  }
}

export const nameSamplesOf = perContext(({ database }) => new NameSamples(database));
