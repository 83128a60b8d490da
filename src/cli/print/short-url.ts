/**
 * A URL as it fits into `width` columns. Host and file name tell sources apart, so what goes first is the scheme,
 * then the folders between them, then the middle. User names, passwords and query values are never shown.
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
  const head = Math.min(host.length, Math.ceil((width - 1) * 0.6));
  return shortenMiddle(host + name, width, head, cut);
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
