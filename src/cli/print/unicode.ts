/** Whether block characters come out right: not on the Linux console, and not where the locale says otherwise. */
export function showsBlocks(env: Readonly<Record<string, string | undefined>>): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || 'UTF-8';
  return env['TERM'] !== 'linux' && /utf-?8/i.test(locale);
}
