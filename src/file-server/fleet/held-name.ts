import { createServer, type Server } from 'node:net';

/**
 * Holds a name on this machine by listening under it: the kernel frees it when the process ends, however it ends (unix(7),
 * abstract socket addresses).
 *
 * @returns what is to be closed to give it back; `taken` when another process holds it; undefined where there are no such
 *   names
 */
export async function holdName(name: string): Promise<Server | 'taken' | undefined> {
  if (process.platform !== 'linux') return undefined;
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(`\0headwater-${name}`, resolve);
  try {
    await promise;
    return server.unref();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') return 'taken';
    throw cause;
  }
}
