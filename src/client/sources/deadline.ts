import type { Connection } from '../../transport/connection.ts';
import { SourceError, sourceError } from './fault.ts';

interface Bounds {
  readonly signal: AbortSignal;
  /** Milliseconds for all of it. */
  readonly most: number;
  /** Milliseconds without a byte. Default: as long as all of it may take. */
  readonly silence?: number;
  /** The source's name, for messages. */
  readonly shown: string;
}

/**
 * Runs `work` with the connection, and cuts it when the signal fires or its time is up.
 *
 * @throws SourceError `silent` when the time is up; what `work` throws, as a SourceError where it is one
 */
export async function bounded<T>(
  connection: Connection,
  { signal, most, silence = most, shown }: Bounds,
  work: (connection: Pick<Connection, 'send'>) => Promise<T>,
): Promise<T> {
  const interrupt = (): void => connection.close();
  const giveUp = (): void =>
    connection.close(new SourceError({ kind: 'silent' }, `${shown} does not answer`));
  const timers = [setTimeout(giveUp, most), setTimeout(giveUp, silence)];
  const watched = { send: watchedBy(() => timers[1]?.refresh(), connection) };
  signal.addEventListener('abort', interrupt);
  try {
    signal.throwIfAborted();
    return await work(watched);
  } catch (error) {
    throw sourceError(error) ?? error;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    signal.removeEventListener('abort', interrupt);
  }
}

/** Sends requests over the connection, and tells each time that something comes. */
function watchedBy(came: () => void, connection: Connection): Connection['send'] {
  return (request, receiver) =>
    connection.send(request, {
      head(head) {
        came();
        receiver.head(head);
      },
      buffer: () => receiver.buffer(),
      received(length) {
        came();
        receiver.received(length);
      },
    });
}
