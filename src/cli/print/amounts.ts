const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const DIGITS = 3;
/** Made when they are first needed: the first formatter of a process takes 5 to 10 ms, and `--quiet` needs none. */
const formats = new Map<number, Intl.NumberFormat>();

/** `1 MiB`, `12.3 MiB`; powers of 1024. */
export function size(bytes: number): string {
  return inUnits(bytes, 1);
}

/** `1.00 MiB`, `12.3 MiB`: always three digits from a KiB on, so that a number that changes keeps its place. */
export function steadySize(bytes: number): string {
  return inUnits(bytes, DIGITS);
}

function inUnits(bytes: number, leastDigits: number): string {
  const whole = Math.max(0, Math.round(bytes));
  if (whole < 1024) return `${whole} B`;
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(whole) / 10));
  return `${format(leastDigits).format(whole / 1024 ** power)} ${UNITS[power]}`;
}

function format(minimumSignificantDigits: number): Intl.NumberFormat {
  const known = formats.get(minimumSignificantDigits);
  if (known !== undefined) return known;
  const options = { minimumSignificantDigits, maximumSignificantDigits: DIGITS, useGrouping: false };
  const made = new Intl.NumberFormat('en', options);
  formats.set(minimumSignificantDigits, made);
  return made;
}

/** `12.3 MiB/s`. */
export function rate(bytesPerSecond: number): string {
  return `${steadySize(bytesPerSecond)}/s`;
}

/** `45 %` of a whole that is being done; 100 only when nothing is missing. */
export function percentDone(part: number): string {
  return `${Math.floor(Math.min(1, Math.max(0, part)) * 100 + 1e-9)} %`;
}

/** `45 %` that one of many gave. */
export function percentOf(part: number): string {
  return `${Math.round(Math.min(1, Math.max(0, part)) * 100)} %`;
}

/** `0:35`, `4:05`, `1:03:00`: for numbers that change in place. */
export function clock(seconds: number): string {
  const whole = Math.ceil(Math.max(0, seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** `0.04 s`, `6.3 s`, `4 min 5 s`, `1 h 3 min`: for sentences. */
export function spell(seconds: number): string {
  if (seconds < 0.995) return `${trimmed(seconds, 2)} s`;
  if (seconds < 59.95) return `${trimmed(seconds, 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return withRest(Math.floor(whole / 60), 'min', whole % 60, 's');
  return withRest(Math.floor(whole / 3600), 'h', Math.floor(whole / 60) % 60, 'min');
}

function withRest(value: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${value} ${unit}` : `${value} ${unit} ${rest} ${restUnit}`;
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

/** `1 source`, `2,766 chunks`. */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString('en')} ${value === 1 ? one : many}`;
}
