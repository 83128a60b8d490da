import bytes from 'bytes';
import ms from 'ms';

import { isSha256 } from '../core/manifest.ts';

/** What an option's argument can be: words for the person, and how it is read. */
export interface Kind<T> {
  /** Ends the sentence "--option takes …". */
  readonly takes: string;
  /** Undefined when the text is not of this kind. */
  read(text: string): T | undefined;
  /** How a wrong text is shown in the message, where it may hold a secret. */
  show?(text: string): string;
}

/** A whole number within limits, both included. */
export function wholeNumber(least: number, most: number, what = 'a whole number'): Kind<number> {
  return {
    takes: `${what} from ${least} to ${most}`,
    read: (text) => (/^\d{1,15}$/.test(text) ? within(Number(text), least, most) : undefined),
  };
}

/** Least and most seconds between two reports of progress. */
export const LEAST_INTERVAL = 0.05;
export const MOST_INTERVAL = 86_400;

export const interval: Kind<number> = {
  takes: `seconds from ${LEAST_INTERVAL} to ${MOST_INTERVAL}, such as 1 or 0.5`,
  read: (text) =>
    /^\d{1,9}(\.\d{1,9})?$/.test(text) ? within(Number(text), LEAST_INTERVAL, MOST_INTERVAL) : undefined,
};

/** Bytes a second. K, M, G and T are powers of 1024; B, iB and /s may follow. */
export function rateFrom(least: number): Kind<number> {
  return {
    takes: `bytes a second${least > 1 ? `, ${least} or more,` : ''} such as 500K, 20M or 1.5G`,
    read(text) {
      const match = /^(\d{1,15}(?:\.\d{1,9})?)([KMGT]?)(?:i?B)?(?:\/s)?$/i.exec(text);
      if (match === null) return undefined;
      const value = bytes.parse(`${match[1]}${match[2]}B`);
      return value === null ? undefined : within(Math.floor(value), least, Number.MAX_SAFE_INTEGER);
    },
  };
}

export const rate: Kind<number> = rateFrom(1);

/** A number of bytes. K, M, G and T are powers of 1024; B and iB may follow. */
export const byteCount: Kind<number> = {
  takes: 'bytes, such as 500G or 2T',
  read: (text) => (text.includes('/') ? undefined : rate.read(text)),
};

/** The same, or none at all. */
export const byteCountOrNone: Kind<number> = {
  takes: `${byteCount.takes}, or 0`,
  read: (text) => (text === '0' ? 0 : byteCount.read(text)),
};

/** A text that a schema of the fleet takes. */
export function fitting(schema: { safeParse(text: string): { data?: string | undefined } }, takes: string) {
  return { takes, read: (text: string) => schema.safeParse(text).data } satisfies Kind<string>;
}

/** http and https URLs without query, separated by commas. */
export const urls: Kind<readonly string[]> = {
  takes: 'http or https URLs, separated by commas, such as http://10.0.0.1:8400',
  read(text) {
    const all = text.split(',').map((each) => URL.parse(each.trim()));
    const good = all.flatMap((url) => (url !== null && isPlain(url) ? [url.href.replace(/\/+$/, '')] : []));
    return good.length === all.length ? good : undefined;
  },
  show: (text) => text.replaceAll(/\/\/[^/@]*@/g, '//***@'),
};

function isPlain({ protocol, search, hash, username }: URL): boolean {
  return /^https?:$/.test(protocol) && search === '' && hash === '' && username === '';
}

/** Seconds; `Infinity` for "never". A bare number is seconds. */
export const duration: Kind<number> = {
  takes: 'a duration such as 90s, 5m or 1h, a number of seconds, or "never"',
  read(text) {
    if (text === 'never') return Infinity;
    const match = /^(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|min|h|d)?$/.exec(text);
    if (match === null) return undefined;
    const milliseconds: number = ms(`${Number(match[1])}${match[2] ?? 's'}` as ms.StringValue);
    return milliseconds > 0 ? milliseconds / 1000 : undefined;
  },
};

/** 64 hex digits, given back in lower case. */
export const sha256: Kind<string> = {
  takes: 'a SHA-256 digest of 64 hex digits',
  read(text) {
    const lower = text.toLowerCase();
    return isSha256(lower) ? lower : undefined;
  },
};

/** Any text but an empty one. */
export function anyText(what: string): Kind<string> {
  return { takes: what, read: (text) => (text === '' ? undefined : text) };
}

/** Ports from `least` up, separated by commas. */
export function ports(least: 0 | 1): Kind<readonly number[]> {
  const port = wholeNumber(least, 65_535);
  return {
    takes: `ports from ${least} to 65535, separated by commas, such as 8080,8081`,
    read(text) {
      const numbers = text.split(',').map((each) => port.read(each.trim()));
      return numbers.every((each) => each !== undefined) ? numbers : undefined;
    },
  };
}

/** Host names or addresses, separated by commas; each may carry a port. What they mean is read later. */
export const hosts: Kind<readonly string[]> = {
  takes: 'host names or addresses, separated by commas',
  read(text) {
    const words = text.split(',').map((each) => each.trim());
    return words.includes('') ? undefined : words;
  },
};

/** Name and value of a header field. */
export type HeaderField = readonly [name: string, value: string];

/** Fields that the program itself must decide (RFC 9110: framing, ranges, encodings), in lower case. */
const RESERVED_FIELDS = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** `Name: value` as RFC 9110, section 5 allows it: no line breaks, nothing that is not Latin-1. */
export const header: Kind<HeaderField> = {
  takes: "'Name: value' on one line, and not Host, Range or another field that the program sets itself",
  read(text) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\u0080-\u00ff]*)$/.exec(text);
    if (match?.[1] === undefined || match[2] === undefined) return undefined;
    return RESERVED_FIELDS.has(match[1].toLowerCase()) ? undefined : [match[1], match[2].trimEnd()];
  },
  show: (text) => text.replace(/:.*$/s, ': …'),
};

function within(value: number, least: number, most: number): number | undefined {
  return value >= least && value <= most ? value : undefined;
}
