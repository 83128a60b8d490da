import type { Connection } from '../../transport/connection.ts';
import { SourceError, sourceError } from './fault.ts';

interface Bounds {
  readonly signal: AbortSignal;
  /** Milliseconds. */
  readonly most: number;
  /** The source's name, for messages. */
  readonly shown: string;
}

/**
 * Runs `work`, which uses the connection, and cuts it when the signal fires or its time is up.
 *
 * @throws SourceError `silent` when the time is up; what `work` throws, as a SourceError where it is one
 */
export async function bounded<T>(
  connection: Connection,
  { signal, most, shown }: Bounds,
  work: () => Promise<T>,
): Promise<T> {
  const interrupt = (): void => connection.close();
  const timer = setTimeout(() => {
    connection.close(new SourceError({ kind: 'silent' }, `${shown} does not answer`));
  }, most);
  signal.addEventListener('abort', interrupt);
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    throw sourceError(error) ?? error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', interrupt);
  }
}
