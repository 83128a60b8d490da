import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where a fleet's state is when nobody says: `$XDG_DATA_HOME/headwater`, or `~/.local/share/headwater`. */
export function defaultDataFolder(env: Readonly<Record<string, string | undefined>>): string {
  const base = env['XDG_DATA_HOME'];
  const home = base === undefined || base === '' ? join(homedir(), '.local', 'share') : base;
  return join(home, 'headwater');
}
