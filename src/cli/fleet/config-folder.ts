import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the user's settings are: HEADWATER_CONFIG, or `headwater` in the XDG base directory for settings. */
export function configFolder(env: Environment): string {
  const own = env['HEADWATER_CONFIG'];
  if (own !== undefined && own !== '') return resolve(own);
  return join(xdg(env['XDG_CONFIG_HOME'], '.config'), 'headwater');
}

/** Relative paths in these variables are to be ignored (XDG Base Directory Specification). */
function xdg(value: string | undefined, otherwise: string): string {
  return value?.startsWith('/') === true ? value : join(homedir(), otherwise);
}
