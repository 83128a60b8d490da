/**
 * A timer that comes so much too late, milliseconds, says that the program did not run: it was stopped, or the machine
 * slept. The silence of that time is no source's. A busy machine is late by less.
 */
export const ASLEEP = 1_000;
