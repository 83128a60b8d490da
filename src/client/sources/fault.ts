import { HeadwaterError } from '../../core/errors.ts';
import { FAULTS } from '../../core/scheduler/faults.ts';
import type { Fault, FaultKind } from '../../core/scheduler/types.ts';

/** A source did not do what was asked; `fault` tells the scheduler what, the message tells the person. */
export class SourceError extends HeadwaterError {
  readonly fault: Fault;

  constructor(fault: Fault, message: string, cause?: unknown) {
    super(FAULTS[fault.kind].code, message, { cause });
    this.fault = fault;
  }
}

const KINDS: Partial<Record<string, FaultKind>> = {
  HW_CONNECT: 'connect',
  HW_TLS: 'tls',
  HW_PROTOCOL: 'protocol',
  HW_SILENT: 'silent',
  // A proxy wants credentials.
  HW_NOT_ALLOWED: 'not-allowed',
};

/** The fault behind an error of the transport; undefined when the error is not a source's. */
export function sourceError(error: unknown): SourceError | undefined {
  if (error instanceof SourceError) return error;
  if (!(error instanceof HeadwaterError)) return undefined;
  const kind = KINDS[error.code];
  return kind === undefined ? undefined : new SourceError({ kind }, error.message, error);
}

/**
 * Milliseconds that a Retry-After header asks for (RFC 9110, section 10.2.3: seconds or a date).
 */
export function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
