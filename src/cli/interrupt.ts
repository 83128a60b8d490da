import { EXIT, HeadwaterError } from '../core/errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Milliseconds within which a second signal is the first one arriving twice: bin/headwater hands signals on to the
 * Node it started, which a terminal has sent them to already.
 */
const SAME_PRESS = 100;

/** Set by bin/headwater when it has handed over: the process that passes signals on. */
const HANDED_OVER = 'HEADWATER_HANDED_OVER_BY';

export interface Interrupts {
  /** Aborted by the first signal, with an `HW_INTERRUPTED`. */
  readonly signal: AbortSignal;
  /** Stops as a signal would, with another reason. */
  stop(reason: Error): void;
  /** Listens no more; signals end the process again as they do by default. */
  [Symbol.dispose](): void;
}

/**
 * Turns Ctrl-C, SIGTERM and SIGHUP into an abort, so that what is under way can end well. A second signal ends the
 * process at once, with status 130.
 */
export function listenForInterrupts(): Interrupts {
  const controller = new AbortController();
  const passedOn = process.env[HANDED_OVER] === String(process.ppid);
  let first: number | undefined;
  const caught = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (first !== undefined && !(passedOn && now - first < SAME_PRESS)) process.exit(EXIT.interrupted);
    first ??= now;
    controller.abort(new HeadwaterError('HW_INTERRUPTED', `stopped by ${signal}`));
  };
  for (const signal of SIGNALS) process.on(signal, caught);
  return {
    signal: controller.signal,
    stop: (reason) => controller.abort(reason),
    [Symbol.dispose]() {
      for (const signal of SIGNALS) process.off(signal, caught);
    },
  };
}
