import { FEW_FILES, type NameSample } from './name-sample.ts';

/**
 * Names of the sample that have the term, from which on the list is walked: then one in 250 or more has it, and a page is
 * full after some ten thousand names. What is rarer is looked up.
 */
const COMMON_HITS = 8;
/** Pieces of the term that are looked up together: more hardly makes the answer smaller. */
const MOST_PIECES = 3;

/** How files whose name has the term are found. */
export type SearchPlan =
  /** In the order of the list, name by name. */
  | { readonly how: 'walk' }
  /** All of them first, by pieces of their names that an index has; then they are put into order. */
  | { readonly how: 'look-up'; readonly pieces: readonly string[] };

const WALK: SearchPlan = { how: 'walk' };

/**
 * Decides by a sample of the names. Common terms are many matches and a short walk; rare ones few matches and a long walk.
 *
 * @param term as `foldName` makes it
 * @param piecesOf pieces of the term that the index can look up; none: it must be walked
 */
export function planSearch(
  term: string,
  sample: NameSample,
  piecesOf: (term: string) => readonly string[],
): SearchPlan {
  if (sample.files <= FEW_FILES) return WALK;
  const hits = (piece: string): number =>
    sample.names.reduce((sum, name) => sum + (name.includes(piece) ? 1 : 0), 0);
  if (hits(term) >= COMMON_HITS) return WALK;
  const pieces = [...new Set(piecesOf(term))].map((piece) => ({ piece, hits: hits(piece) }));
  if (pieces.length === 0) return WALK;
  pieces.sort((one, other) => one.hits - other.hits);
  return { how: 'look-up', pieces: pieces.slice(0, MOST_PIECES).map(({ piece }) => piece) };
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
