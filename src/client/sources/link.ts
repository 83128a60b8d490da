import { MANIFEST_TYPE } from '../../core/manifest.ts';

/** Where a Link header (RFC 8288) says that the file's manifest is. */
export function manifestLink(header: string | undefined, base: URL): URL | undefined {
  if (header === undefined) return undefined;
  for (const [, target = '', parameters = ''] of header.matchAll(
    /<([^>]*)>((?:\s*;\s*[^,;"]+(?:"[^"]*")?)*)/g,
  )) {
    const describes = /;\s*rel\s*=\s*"?(?:[^"]*\s)?describedby(?:\s[^"]*)?"?/i.test(parameters);
    const type = /;\s*type\s*=\s*"?([^";]+)"?/i.exec(parameters)?.[1]?.trim();
    if (describes && type === MANIFEST_TYPE && URL.canParse(target, base.href)) return new URL(target, base);
  }
  return undefined;
}
