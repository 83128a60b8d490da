import { EXIT, HeadwaterError } from '../../core/errors.ts';
import { oneLine } from './plain-text.ts';

/** The line that standard error gets when the program ends other than well. */
export function errorLine(error: unknown): string {
  if (error instanceof HeadwaterError) return `headwater: ${oneLine(error.message)} (${error.code})`;
  const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `headwater: a defect of this program, please report it (HW_INTERNAL): ${told}`;
}

/** The exit status that goes with it. */
export function exitStatus(error: unknown): number {
  return error instanceof HeadwaterError ? error.exit : EXIT.internal;
}
