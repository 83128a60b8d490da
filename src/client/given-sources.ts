import { Bitmap } from '../core/bitmap.ts';
import { HeadwaterError } from '../core/errors.ts';
import { layoutOf, type Manifest } from '../core/manifest.ts';
import { shownUrl } from '../transport/shown-url.ts';
import type { HeaderFields, SourceSpec } from './live-sources.ts';

/** A source as its caller described it, complete and checked. */
export interface GivenSource {
  /** As it was given. */
  readonly spec: SourceSpec;
  /** Tells it from the others. */
  readonly key: string;
  readonly url: URL;
  readonly name: string | undefined;
  readonly zone: string | undefined;
  readonly headers: () => Readonly<Record<string, string>>;
  readonly has: Bitmap | undefined;
  /** Why it is not to be asked now, for the person. */
  readonly paused: string | undefined;
  readonly known: boolean;
}

/** What all sources of a download have in common. */
export interface Common {
  /** As it was given. */
  readonly manifest: unknown;
  readonly headers: () => Readonly<Record<string, string>>;
}

const KNOWN: Readonly<Record<keyof SourceSpec, true>> = {
  url: true,
  id: true,
  name: true,
  zone: true,
  headers: true,
  has: true,
  paused: true,
  known: true,
};

/**
 * Each source once, in the order given; of two with the same id the later one counts.
 *
 * @throws HeadwaterError `HW_USAGE`
 */
export function givenSources(sources: readonly (string | URL | SourceSpec)[], common: Common): GivenSource[] {
  const seen = new Map<string, GivenSource>();
  for (const source of sources) {
    const given = givenSource(
      typeof source === 'string' || source instanceof URL ? { url: source } : source,
      common,
    );
    seen.set(given.key, given);
  }
  return [...seen.values()];
}

function givenSource(spec: SourceSpec, common: Common): GivenSource {
  if (typeof spec !== 'object' || spec === null) usage('a source is a URL or an object with a url');
  for (const key of Object.keys(spec))
    if (!Object.hasOwn(KNOWN, key)) usage(`a source has no option "${key}"`);
  const { id, name, zone, has, paused = false, known = false } = spec;
  for (const [option, value] of Object.entries({ id, name, zone }))
    if (value !== undefined && (typeof value !== 'string' || value === ''))
      usage(`${option} of a source takes a text that is not empty`);
  if (typeof known !== 'boolean') usage('known of a source takes true or false');
  const url = address(spec.url);
  const reason = typeof paused === 'string' ? `${name ?? shownUrl(url)} is ${paused}` : undefined;
  return {
    spec,
    key: id ?? url.href,
    url,
    name,
    zone,
    headers: spec.headers === undefined ? common.headers : both(common.headers, headerFields(spec.headers)),
    has: holding(has, known, common.manifest),
    paused: paused === false ? undefined : (reason ?? `${name ?? shownUrl(url)} is paused`),
    known,
  };
}

/** The chunks that it holds, copied; checked, with `known`, to be of a manifest that is there. */
function holding(has: Bitmap | undefined, known: boolean, manifest: unknown): Bitmap | undefined {
  if (has === undefined && !known) return undefined;
  if (typeof manifest !== 'object' || manifest === null || manifest instanceof URL)
    usage('has and known of a source need a manifest that is given as a value');
  if (has === undefined) return undefined;
  const { count } = layoutOf(manifest as Manifest);
  if (!(has instanceof Bitmap) || has.length !== count)
    usage(`has of a source takes a Bitmap with a bit for each of the ${count} chunks`);
  return new Bitmap(count, has.bytes);
}

function both(
  common: GivenSource['headers'],
  own: GivenSource['headers'],
): () => Readonly<Record<string, string>> {
  return () => ({ ...common(), ...own() });
}

function address(source: unknown): URL {
  let url: URL;
  try {
    url = new URL(source as string | URL);
  } catch (cause) {
    throw new HeadwaterError(
      'HW_USAGE',
      `"${String(source).replace(/\/\/[^/@\s]*@/, '//')}" is not a URL; a source looks like http://host/file`,
      { cause },
    );
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    usage(`"${url.protocol}//" cannot be read; a source begins with http:// or https://`);
  }
  url.hash = '';
  return url;
}

/**
 * What gives the header fields of a request. Those of a function are checked each time that it is asked.
 *
 * @throws HeadwaterError `HW_USAGE`, at once for fields that do not change
 */
export function headerFields(headers: HeaderFields | undefined): () => Readonly<Record<string, string>> {
  if (typeof headers === 'function') return () => checkedHeaders(headers());
  const checked = checkedHeaders(headers ?? {});
  return () => checked;
}

/** Header fields as RFC 9110, section 5 allows them. */
function checkedHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers))
    usage('headers takes an object of names and values, or a function that gives one');
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) usage(`"${name}" is not a header name`);
    if (typeof value !== 'string') usage(`header "${name}" takes a text`);
    if (/[\r\n\0]/.test(value)) usage(`the value of header "${name}" has a line break`);
    if (/^(range|host|connection|content-length|transfer-encoding|accept-encoding)$/i.test(name)) {
      usage(`header "${name}" is set by the program itself`);
    }
  }
  return headers;
}

function usage(message: string): never {
  throw new HeadwaterError('HW_USAGE', message);
}
