import { FEW_FILES, type FileSample, type SampledFile } from './file-sample.ts';
import type { Position } from './cursor.ts';

/** Pieces of the term that are looked up together: more hardly makes the answer smaller. */
const MOST_PIECES = 3;

/** How files whose name has the term are found. */
export type SearchPlan =
  /** In the order of the list, name by name. */
  | { readonly how: 'walk' }
  /** All of them first, by pieces of their names that an index has; then they are put into order. */
  | { readonly how: 'look-up'; readonly pieces: readonly string[] };

/** The order of a list, and where the page begins. */
interface Order {
  readonly column: keyof SampledFile;
  readonly descending: boolean;
  readonly after: Position | undefined;
}

export interface Search extends Order {
  /** As `foldName` makes it. */
  readonly term: string;
  readonly limit: number;
}

/** What the database can do. */
export interface SearchMeans {
  /** Pieces of the term that an index can look up; none: it must be walked. */
  readonly piecesOf: (term: string) => readonly string[];
  /** Names that are walked past in the time in which one is looked up. */
  readonly lookUpCost: number;
}

const WALK: SearchPlan = { how: 'walk' };

/**
 * Decides by a sample of the files which way is shorter: walking the list until the page is full, or looking up all that
 * match. What is rare is far apart. What is common can be, too: names that begin alike are together in a list by name, and
 * the page may begin far from them.
 */
export function planSearch(search: Search, sample: FileSample, means: SearchMeans): SearchPlan {
  const { files, rows } = sample;
  if (files <= FEW_FILES || rows.length === 0) return WALK;
  const { term } = search;
  const hits = (piece: string): number =>
    rows.reduce((sum, row) => sum + (row.name_folded.includes(piece) ? 1 : 0), 0);
  const pieces = [...new Set(means.piecesOf(term))]
    .map((piece) => ({ piece, hits: hits(piece) }))
    .sort((one, other) => one.hits - other.hits)
    .slice(0, MOST_PIECES)
    .map(({ piece }) => piece);
  if (pieces.length === 0) return WALK;
  const found = rows.filter((row) => pieces.every((piece) => row.name_folded.includes(piece)));
  const lookUp = found.length * means.lookUpCost;
  return walked(search, sample) <= lookUp ? WALK : { how: 'look-up', pieces };
}

/** Hits in the sample below which nothing is known of how far they are apart. */
const LEAST_HITS = 4;

/**
 * Files of the sample that are walked past until the page is full: up to the first that matches, and on at the pace at which
 * more of them come.
 */
function walked(search: Search, sample: FileSample): number {
  const left = ahead(search, sample);
  const places = left.flatMap((row, place) => (row.name_folded.includes(search.term) ? [place] : []));
  const first = places[0];
  const last = places[LEAST_HITS - 1];
  if (first === undefined || last === undefined) return left.length;
  const pace = (last - first) / (LEAST_HITS - 1);
  return first + (pace * search.limit * sample.rows.length) / sample.files;
}

/** Files of the sample from where the page begins, in the order of the list. */
function ahead({ column, descending, after }: Order, { sorted }: FileSample): readonly SampledFile[] {
  const inOrder = descending ? sorted[column].toReversed() : sorted[column];
  if (after === undefined) return inOrder;
  const begin = inOrder.findIndex((row) =>
    descending ? row[column] <= after.key : row[column] >= after.key,
  );
  return begin === -1 ? [] : inOrder.slice(begin);
}

/** Files of the sample in the first step of a walk; each step has twice those of the one before, up to the most. */
const FIRST_STEP = 8;
const MOST_STEP = 64;

/** Where the steps of a walk end: some thousand files each, so that no step keeps others waiting. The last has no end. */
export function stepsOf(order: Order, sample: FileSample): (string | number)[] {
  const left = ahead(order, sample);
  const ends: (string | number)[] = [];
  let size = FIRST_STEP;
  for (let place = size; place < left.length; place += size) {
    const end = left[place]?.[order.column];
    if (end !== undefined && end !== ends.at(-1)) ends.push(end);
    size = Math.min(MOST_STEP, size * 2);
  }
  return ends;
}

/** Characters as databases count them: by code point. */
export function charactersOf(text: string): string[] {
  return Array.from(text);
}

/** Every `length` neighbouring characters. */
export function neighbours(term: string, length: number): string[] {
  const characters = charactersOf(term);
  const pieces: string[] = [];
  for (let at = 0; at + length <= characters.length; at++)
    pieces.push(characters.slice(at, at + length).join(''));
  return pieces;
}
