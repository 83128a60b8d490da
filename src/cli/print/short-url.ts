/**
 * A URL as it fits into `width` columns. Host and port tell sources apart, so what goes first is the scheme, then the
 * folders, then the front of the file name. User names, passwords and query values are never shown.
 *
 * @param cut one character that stands where something was left out
 */
export function shortUrl(text: string, width: number, cut = '…'): string {
  const { host, path } = parts(text, cut);
  const whole = host + path;
  if (whole.length <= width) return whole;
  const name = path.slice(path.lastIndexOf('/'));
  const withoutFolders = `${host}/${cut}${name}`;
  if (withoutFolders.length <= width && withoutFolders.length < whole.length) return withoutFolders;
  return shortenMiddle(host + name, width, Math.max(0, Math.min(host.length, width - 1)), cut);
}

function parts(text: string, cut: string): { host: string; path: string } {
  if (!URL.canParse(text)) return { host: '', path: text };
  const url = new URL(text);
  return { host: url.host, path: `${url.pathname}${url.search === '' ? '' : `?${cut}`}` };
}

/** Keeps `head` columns of the front and the rest of the end. */
function shortenMiddle(text: string, width: number, head: number, cut: string): string {
  if (text.length <= width) return text;
  if (width <= 1) return cut.slice(0, Math.max(0, width));
  return `${text.slice(0, head)}${cut}${text.slice(text.length - (width - 1 - head))}`;
}
