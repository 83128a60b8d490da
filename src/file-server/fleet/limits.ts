/** Limits and defaults of a file server in a fleet, with their reasons. Times are milliseconds unless the name says otherwise. */

/** Longest token that is looked at, characters: ours are about 400, and the rest is for claims to come. */
export const MOST_TOKEN_LENGTH = 4_096;
/** Checked tokens that are remembered, about 1 KiB each: a repeated one costs no signature. */
export const MOST_CHECKED_TOKENS = 10_000;
/** Seconds past its end that a grant is still taken: what a request takes on its way, and what clocks of the fleet differ by. */
export const CLOCK_TOLERANCE = 5;
/** A clock that is further off than this is told about: one that is kept right never is. */
export const CLOCK_ERROR = 5_000;

/** A key that is not known makes the keys be asked for, but not again before this: anybody can make up key ids. */
export const KEYS_ASKED_AGAIN = 5_000;
/** The keys are asked for again after this, whatever was heard of them. */
export const KEYS_AGE = 300_000;
/** A request whose key is not known waits this long for the keys at most. */
export const KEYS_PATIENCE = 3_000;

/** Revoked grants and deleted files that are remembered at most; the ones that end first are dropped first. */
export const MOST_REMEMBERED = 100_000;
/** How long a deleted file's id is remembered: no grant lives so long. */
export const DELETED_MEMORY = 24 * 60 * 60 * 1000;
/** Downloads that are remembered at most, about 300 bytes each. */
export const MOST_DOWNLOADS = 100_000;

/** An information server that has not answered by then is away, and the next one is asked. */
export const CALL_TIMEOUT = 10_000;
/** An information server to which no connection comes about by then is away. */
export const CONNECT_TIMEOUT = 4_000;
/** As `CALL_TIMEOUT`, for heartbeats, which are of no use when they are late. */
export const HEARTBEAT_TIMEOUT = 5_000;
/** First wait after no information server answered, doubled each time up to the longest; jittered. */
export const LEAST_BACKOFF = 500;
export const MOST_BACKOFF = 15_000;
/** Longest answer of an information server that is read, bytes: 1,000 wanted digests, or a few keys. */
export const MOST_ANSWER_BYTES = 1024 * 1024;
/** Bytes of names in one announcement: with everything round them it stays below what is taken at once. */
export const MOST_ANNOUNCED_BYTES = 1024 * 1024;
/** Holdings that become known within this time go out in one announcement. */
export const ANNOUNCE_DELAY = 100;

/** A file is hashed when it was last changed this long ago: one that is being written changes more often. */
export const STABLE_AFTER = 2_000;
/** A change that the system tells of is looked at after this, together with those that follow it at once. */
export const LOOK_DELAY = 250;
/** Folders are walked again after this, whatever the system tells: what it tells can be lost. */
export const RESCAN_EVERY = 30_000;
/** Where walking takes long it is done less often, so that it takes no more than one part in this many of the time. */
export const RESCAN_SHARE = 20;
/** Folders that the system is asked to tell about at most: each takes a watch of the kernel. */
export const MOST_WATCHED = 4_096;
/** Files asked for their state at once. */
export const STATS_AT_ONCE = 32;
/** A file of up to so many bytes is read and hashed at once, without a thread. */
export const SMALL_FILE = 256 * 1024;
/** Small files hashed at once, and written down together: bounds their memory to 16 MiB. */
export const SMALL_AT_ONCE = 64;
/** A small file that cannot be read is tried again after this, unless it changes before. */
export const MOST_SETBACK_WAIT = 60_000;
/** Nothing is hashed for so long when what is known cannot be written down: the disk is full, and not for long. */
export const HINDERED_WAIT = 3_000;
/** Larger files whose digests are being found out at most; the others wait, the newest first. */
export const MOST_FINDING = 4;
/** Smallest file whose digests are also put into the user's cache, bytes: a smaller one is read as fast as its entry. */
export const LEAST_CACHED_BYTES = 8 * 1024 * 1024;
/** Milliseconds between two looks for digests that another process of this machine is computing. */
export const LOOK_FOR_DIGESTS = 250;
/** Bytes a second: a process that hashes a file slower than this, and a minute, is not waited for any longer. */
export const LEAST_HASHING_RATE = 20_000_000;
/** Files that are gone are remembered this long: a disk that was not mounted need not be hashed again. */
export const GONE_MEMORY = 7 * 24 * 60 * 60 * 1000;

/** Longest body of a report, bytes: a chunk's number. */
export const MOST_REPORT_BYTES = 1_024;
/** Reports that one grant may send within `REPORT_WINDOW`: a bad disk has a few bad chunks, a liar many. */
export const MOST_REPORTS = 10;
export const REPORT_WINDOW = 60_000;
/** Reports that wait while one is looked at. */
export const MOST_WAITING_REPORTS = 32;
/** A chunk that was found good is not read again before this. */
export const GOOD_FOR = 30_000;

/** Bytes of a file that are read ahead when a grant for it was given: the first spans of a few downloads. */
export const READ_AHEAD_BYTES = 8 * 1024 * 1024;
/** Files that wait to be read ahead; more are left to the downloads themselves. */
export const MOST_READ_AHEAD = 64;
/** A file is not read ahead again before this. */
export const READ_AHEAD_AGAIN = 60_000;

/** Milliseconds that answers may take to finish after an end was asked for: less than the 10 s after which Docker kills. */
export const DRAIN_GRACE = 8_000;
