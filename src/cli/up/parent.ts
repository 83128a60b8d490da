/** Set by `headwater up` for the processes it starts: its own process id. */
export const STARTED_BY = 'HEADWATER_STARTED_BY';
/** Milliseconds that a process gets to end well once `headwater up` is gone. */
const LAST_GRACE = 8_000;

/**
 * Ends this process when the `headwater up` that started it is gone, killed too: the channel between them breaks. Does
 * nothing for a process that was started otherwise.
 */
export function endWithParent(): void {
  const { channel, ppid, env } = process;
  if (channel === undefined || channel === null || env[STARTED_BY] !== String(ppid)) return;
  process.on('disconnect', () => {
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), LAST_GRACE).unref();
  });
  // It carries nothing, and is no reason to go on.
  channel.unref();
}
