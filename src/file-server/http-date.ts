/** HTTP dates (RFC 9110, section 5.6.7). */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const TIME = String.raw`(\d\d):(\d\d):(\d\d)`;
const IMF = new RegExp(String.raw`^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) ${TIME} GMT$`);
const RFC850 = new RegExp(String.raw`^[A-Z][a-z]{5,8}, (\d\d)-([A-Z][a-z]{2})-(\d\d) ${TIME} GMT$`);
const ASCTIME = new RegExp(String.raw`^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) ${TIME} (\d{4})$`);

/**
 * Milliseconds since 1970 of an HTTP date in any of its three forms, or undefined when it is none: a field with an
 * invalid date is to be ignored. `now` decides the century of a two-digit year.
 */
export function parseHttpDate(text: string, now: number): number | undefined {
  let match = IMF.exec(text);
  if (match !== null) return at(match[3], match[2], match[1], match.slice(4));
  match = ASCTIME.exec(text);
  if (match !== null) return at(match[6], match[1], match[2], match.slice(3, 6));
  match = RFC850.exec(text);
  if (match === null) return undefined;
  const thisYear = new Date(now).getUTCFullYear();
  let year = Math.floor(thisYear / 100) * 100 + Number(match[3]);
  // A year that seems more than 50 years ahead is the past one with the same digits.
  if (year > thisYear + 50) year -= 100;
  return at(String(year), match[2], match[1], match.slice(4));
}

/** The fixed-length form, whole seconds. */
export function formatHttpDate(milliseconds: number): string {
  return new Date(milliseconds).toUTCString();
}

function at(year = '', month = '', day = '', [hour, minute, second]: string[]): number | undefined {
  const monthIndex = MONTHS.indexOf(month);
  if (monthIndex < 0) return undefined;
  const time = Date.UTC(Number(year), monthIndex, Number(day), Number(hour), Number(minute), Number(second));
  // Date.UTC rolls 31 February over instead of refusing it; a leap second is allowed to.
  return new Date(time).getUTCDate() === Number(day) || second === '60' ? time : undefined;
}
