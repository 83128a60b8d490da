import type { Candidate } from './members.ts';
import type { Source } from './sources/source.ts';

/**
 * Sources that state the digest, or offered the manifest, when they are no more than half of those that may: their word
 * alone decides nothing. Empty when it has the weight that it needs.
 */
export function loneWitnesses(
  candidates: readonly Candidate[],
  sha256: string | undefined,
  offerer: Source | undefined,
): readonly Source[] {
  if (sha256 === undefined) return [];
  const stating = candidates.filter(
    ({ source, introduction }) => source === offerer || introduction.sha256 === sha256,
  );
  return stating.length * 2 <= candidates.length ? stating.map(({ source }) => source) : [];
}
