import { ERRORS, type ErrorCode } from '../../core/errors.ts';

/** Set by `headwater up` for the processes it starts: its own process id. */
export const STARTED_BY = 'HEADWATER_STARTED_BY';

/** What goes wrong in a process, and does not end it. */
export interface ToldFault {
  readonly code: string;
  readonly message: string;
}

/** Milliseconds that a process gets to end well once `headwater up` is gone. */
const LAST_GRACE = 8_000;

/**
 * Ends this process when the `headwater up` that started it is gone, killed too: the channel between them breaks. Does
 * nothing for a process that was started otherwise.
 */
export function endWithParent(): void {
  const { channel } = process;
  if (channel === undefined || channel === null || !hasParent()) return;
  process.on('disconnect', () => {
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), LAST_GRACE).unref();
  });
  // What it carries is no reason to go on.
  channel.unref();
}

/** Tells the `headwater up` that started this process of a fault, for the person in front of it. */
export function tellParent(fault: ToldFault): void {
  const { code, message } = fault;
  // When it is gone there is nobody to tell.
  if (hasParent()) process.send?.({ code, message } satisfies ToldFault, () => undefined);
}

/** A fault that a process told; undefined: it is something else. */
export function toldFault(told: unknown): { code: ErrorCode; message: string } | undefined {
  if (typeof told !== 'object' || told === null) return undefined;
  const { code, message } = told as { code?: unknown; message?: unknown };
  if (typeof code !== 'string' || !Object.hasOwn(ERRORS, code) || typeof message !== 'string')
    return undefined;
  return { code: code as ErrorCode, message };
}

function hasParent(): boolean {
  const { connected, ppid, env } = process;
  return connected && env[STARTED_BY] === String(ppid);
}
