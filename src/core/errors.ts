/**
 * The one table of errors. A code never changes its meaning; messages may. Callers decide by `code` or by
 * `remedy`, never by the text.
 *
 * - `fix`: the input or the setting is wrong; the same call fails again.
 * - `wait`: may pass by itself; the same call can succeed later.
 * - `other-source`: this source is of no use here; others may be.
 * - `give-up`: nothing that the caller holds will make it work.
 */
export type Remedy = 'fix' | 'wait' | 'other-source' | 'give-up';

interface Row {
  readonly meaning: string;
  readonly remedy: Remedy;
  /** The status a server of ours answers with. */
  readonly http: number;
  /** The status the program ends with. */
  readonly exit: number;
}

/** Exit statuses of the program. */
export const EXIT = {
  done: 0,
  usage: 2,
  notFound: 3,
  verification: 4,
  disk: 5,
  sourcesLost: 6,
  notAllowed: 7,
  internal: 70,
  interrupted: 130,
  /** Whoever read the output has gone; what a shell shows for SIGPIPE. */
  pipe: 141,
} as const;

export const ERRORS = {
  // fix the input
  HW_USAGE: {
    meaning: 'An argument or option is missing, unknown or out of range.',
    remedy: 'fix',
    http: 400,
    exit: 2,
  },
  HW_MANIFEST_INVALID: {
    meaning: 'A manifest is malformed or does not fit the file.',
    remedy: 'fix',
    http: 400,
    exit: 4,
  },
  HW_OUTPUT_EXISTS: {
    meaning: 'The output is there already; --force replaces it.',
    remedy: 'fix',
    http: 409,
    exit: 5,
  },
  HW_OUTPUT_BUSY: { meaning: 'Another download is writing this output.', remedy: 'fix', http: 409, exit: 5 },
  HW_FILE_CHANGED: {
    meaning:
      'The file on the servers is not the one an earlier run began; its part file is kept until --force.',
    remedy: 'fix',
    http: 409,
    exit: 4,
  },
  HW_PART_FOREIGN: {
    meaning: 'There is a part file without a readable journal; --force starts anew.',
    remedy: 'fix',
    http: 409,
    exit: 5,
  },
  HW_CONFLICT: {
    meaning: 'The name, address or state is taken by something else; the message says by what.',
    remedy: 'fix',
    http: 409,
    exit: 2,
  },
  HW_TOO_LARGE: {
    meaning: 'The request is longer than the server reads.',
    remedy: 'fix',
    http: 413,
    exit: 2,
  },
  // accounts and grants
  HW_LOGIN: {
    meaning: 'The email and the password do not fit together, or the account is disabled.',
    remedy: 'fix',
    http: 401,
    exit: 7,
  },
  HW_TOKEN_MISSING: {
    meaning: 'The request carries no token, and this needs one.',
    remedy: 'fix',
    http: 401,
    exit: 7,
  },
  HW_TOKEN_INVALID: {
    meaning: 'The token is malformed, not signed by the fleet it names, or nobody has it.',
    remedy: 'fix',
    http: 401,
    exit: 7,
  },
  HW_TOKEN_EXPIRED: {
    meaning: 'The token was good once; log in again, or have the grant renewed.',
    remedy: 'fix',
    http: 401,
    exit: 7,
  },
  HW_FORBIDDEN: {
    meaning: 'The account is known and may not do this.',
    remedy: 'fix',
    http: 403,
    exit: 7,
  },
  HW_GRANT_OTHER_FILE: { meaning: 'The grant is for another file.', remedy: 'fix', http: 403, exit: 7 },
  HW_GRANT_OTHER_FLEET: { meaning: 'The grant is of another fleet.', remedy: 'fix', http: 403, exit: 7 },
  HW_GRANT_REVOKED: {
    meaning: 'The grant was revoked, or its file deleted.',
    remedy: 'give-up',
    http: 403,
    exit: 7,
  },
  HW_SUPERSEDED: {
    meaning: 'Another process has registered as this server since; the older one stops.',
    remedy: 'give-up',
    http: 409,
    exit: 2,
  },
  HW_STALE_EPOCH: {
    meaning: 'Another information server leads by now: what a former leader writes is refused.',
    remedy: 'give-up',
    http: 409,
    exit: 70,
  },
  // local disk
  HW_DISK_FULL: {
    meaning: 'The disk is full; what is there is kept and the same command goes on.',
    remedy: 'fix',
    http: 507,
    exit: 5,
  },
  HW_DISK: {
    meaning: 'A local file or folder cannot be read or written.',
    remedy: 'fix',
    http: 500,
    exit: 5,
  },
  HW_INPUT_CHANGED: {
    meaning:
      'A local file changed while it was published; nothing was published, and the same command begins again.',
    remedy: 'fix',
    http: 409,
    exit: 5,
  },
  // use another source
  HW_NOT_FOUND: {
    meaning: 'The file is not there (404 or 410).',
    remedy: 'other-source',
    http: 404,
    exit: 3,
  },
  HW_NOT_ALLOWED: {
    meaning: 'The server refuses access (401, 403 or 407).',
    remedy: 'other-source',
    http: 403,
    exit: 7,
  },
  HW_NOT_HERE: {
    meaning: 'This server holds a part of the file, and what was asked for is in another part.',
    remedy: 'other-source',
    http: 404,
    exit: 6,
  },
  HW_NO_RANGES: {
    meaning: 'The source does not answer byte ranges.',
    remedy: 'other-source',
    http: 501,
    exit: 6,
  },
  HW_PROTOCOL: { meaning: 'The source broke the rules of HTTP.', remedy: 'other-source', http: 502, exit: 6 },
  HW_SOURCE_CHANGED: {
    meaning: 'The file changed on a source while it was read.',
    remedy: 'other-source',
    http: 409,
    exit: 4,
  },
  HW_BAD_CHUNK: {
    meaning: 'A source sent bytes that do not match their digest.',
    remedy: 'other-source',
    http: 502,
    exit: 4,
  },
  HW_REDIRECT: {
    meaning: 'A source redirects in a circle, too often or to something that is not HTTP.',
    remedy: 'other-source',
    http: 508,
    exit: 6,
  },
  HW_TLS: {
    meaning: 'A certificate is not trusted or does not match.',
    remedy: 'other-source',
    http: 502,
    exit: 6,
  },
  // wait and retry
  HW_CONNECT: { meaning: 'A source cannot be reached.', remedy: 'wait', http: 503, exit: 6 },
  HW_SILENT: { meaning: 'A source has stopped sending.', remedy: 'wait', http: 504, exit: 6 },
  HW_UNAVAILABLE: {
    meaning: 'A source answers 429 or 5xx, or is paused.',
    remedy: 'wait',
    http: 503,
    exit: 6,
  },
  HW_TOO_MANY: {
    meaning: 'Too many attempts from here or for this account; Retry-After says when the next one counts.',
    remedy: 'wait',
    http: 429,
    exit: 6,
  },
  HW_DATABASE: {
    meaning: 'The database cannot be reached or written now; nothing was changed.',
    remedy: 'wait',
    http: 503,
    exit: 6,
  },
  HW_BROKER: {
    meaning: 'The message broker cannot be reached now; what it should carry is kept.',
    remedy: 'wait',
    http: 503,
    exit: 6,
  },
  HW_INCOMPLETE: {
    meaning: 'Chunks of the upload lack copies still; the details say which, and sending those goes on.',
    remedy: 'wait',
    http: 409,
    exit: 6,
  },
  HW_NO_ROOM: {
    meaning: 'Too few file servers have room or run for the copies that were asked for.',
    remedy: 'wait',
    http: 507,
    exit: 6,
  },
  HW_SOURCES_LOST: {
    meaning: 'No source is left, or none has sent anything for the time allowed.',
    remedy: 'wait',
    http: 503,
    exit: 6,
  },
  HW_INTERRUPTED: {
    meaning: 'The caller stopped it; what is there is kept.',
    remedy: 'wait',
    http: 499,
    exit: 130,
  },
  // give up
  HW_SOURCES_DISAGREE: {
    meaning: 'The sources hold different files and nothing says which is right.',
    remedy: 'give-up',
    http: 409,
    exit: 4,
  },
  HW_VERIFICATION: {
    meaning: 'No source has bytes that match the digest.',
    remedy: 'give-up',
    http: 502,
    exit: 4,
  },
  // serving
  HW_PATH: {
    meaning: 'The path leads out of what is served or is malformed.',
    remedy: 'fix',
    http: 400,
    exit: 2,
  },
  HW_METHOD: { meaning: 'The method is not offered here.', remedy: 'fix', http: 405, exit: 2 },
  HW_RANGE: { meaning: 'The range asked for lies outside the file.', remedy: 'fix', http: 416, exit: 2 },
  HW_PRECONDITION: {
    meaning: 'The file is not in the state that the request makes its condition.',
    remedy: 'fix',
    http: 412,
    exit: 2,
  },
  HW_LISTEN: { meaning: 'An address or port cannot be listened on.', remedy: 'fix', http: 500, exit: 2 },
  HW_INTERNAL: { meaning: 'A defect of this program.', remedy: 'give-up', http: 500, exit: 70 },
} as const satisfies Record<string, Row>;

export type ErrorCode = keyof typeof ERRORS;

interface ErrorOptionsWithDetails {
  cause?: unknown;
  /** Facts for programs: the source's URL, the path, the status. */
  details?: Readonly<Record<string, unknown>>;
}

/** Every error this project throws at a caller. */
export class HeadwaterError extends Error {
  override readonly name = 'HeadwaterError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptionsWithDetails = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get remedy(): Remedy {
    return ERRORS[this.code].remedy;
  }

  /** The status the program ends with when this error ends it. */
  get exit(): number {
    return ERRORS[this.code].exit;
  }
}
