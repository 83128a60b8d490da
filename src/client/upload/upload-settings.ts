import { HeadwaterError } from '../../core/errors.ts';
import type { UploadEvent, UploadOptions } from './types.ts';

/** A checked upload: nothing past this looks at raw options. What concerns the fleet alone is the fleet's to check. */
export interface UploadSettings {
  readonly name: string | undefined;
  /** As the fleet is asked, but for the name. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Milliseconds. */
  readonly interval: number;
  readonly signal: AbortSignal;
  readonly onEvent: (event: UploadEvent) => void;
}

const KEYS: Record<keyof UploadOptions, true> = {
  name: true,
  replicas: true,
  zones: true,
  visibility: true,
  replace: true,
  keep: true,
  interval: true,
  signal: true,
  onEvent: true,
};
/** Least seconds between progress events. */
const LEAST_INTERVAL = 0.05;

/** @throws HeadwaterError `HW_USAGE` */
export function uploadSettings(options: UploadOptions): UploadSettings {
  const unknown = Object.keys(options).find((key) => !Object.hasOwn(KEYS, key));
  if (unknown !== undefined) throw usage(`upload has no option "${unknown}"`);
  const {
    name,
    replicas,
    zones,
    visibility,
    replace = false,
    keep,
    interval = 1,
    signal = new AbortController().signal,
    onEvent = () => undefined,
  } = options;
  if (typeof interval !== 'number' || !(interval >= LEAST_INTERVAL)) {
    throw usage(`interval takes seconds from ${LEAST_INTERVAL} up`);
  }
  const shown = visibility === undefined || visibility === 'everyone' ? visibility : { users: visibility };
  const request = { replicas, zones, visibility: shown, replace, keep };
  const given = Object.entries(request).filter(([, value]) => value !== undefined);
  return { name, request: Object.fromEntries(given), interval: interval * 1000, signal, onEvent };
}

function usage(message: string): HeadwaterError {
  return new HeadwaterError('HW_USAGE', message);
}
