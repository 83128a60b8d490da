/** Every limit and default of serving, with its reason. Times are milliseconds unless the name says otherwise. */

/** First port when none is given; the next servers take the ones after it. */
export const FIRST_PORT = 8080;
/** How far above its wanted port a server looks for a free one, when the port was not asked for by number. */
export const PORTS_TRIED = 100;
/** Most servers in one process: each costs a listening socket and a line on the screen. */
export const MOST_SERVERS = 256;
/** Least seconds between two `status` events: more of them nobody can read. */
export const LEAST_STATUS_INTERVAL = 0.05;
/** Longest interval and longest grace, seconds: a timer of more than 24 days would go off at once. */
export const MOST_SECONDS = 86_400;

/**
 * One block: what is read at once, checked at once and handed to the socket at once. Larger blocks no longer cost
 * less processor time per byte; smaller ones do.
 */
export const BLOCK_BYTES = 512 * 1024;
/** Blocks shrink to this when very many answers are under way. */
export const LEAST_BLOCK_BYTES = 16 * 1024;
/** Memory for the blocks of all answers of a process; the block size follows from it. */
export const BLOCK_BUDGET_BYTES = 256 * 1024 * 1024;
/** Unused blocks that are kept for the next answers. */
export const IDLE_BLOCK_BYTES = 32 * 1024 * 1024;

/** Most open connections of one server; above it new ones are closed at once. */
export const MOST_CONNECTIONS = 20_000;
/** Longest request head, bytes (431 above it). */
export const MOST_HEADER_BYTES = 16 * 1024;
/** A connection that has not sent a whole request head for this long is closed (408). */
export const HEADER_TIMEOUT = 15_000;
/** A request whose body has not ended by then is closed. No request here needs one. */
export const REQUEST_TIMEOUT = 30_000;
/** A connection that waits for its next request is kept this long. */
export const KEEP_ALIVE_TIMEOUT = 75_000;
/** A client that takes no byte of its answer for this long is cut off. */
export const SEND_TIMEOUT = 120_000;

/** `Retry-After` of a paused server, seconds: a person pauses for moments, and a client should notice soon. */
export const PAUSED_RETRY_SECONDS = 5;
/** Longest `Retry-After` for a file that is still being hashed, seconds. */
export const MOST_HASHING_RETRY_SECONDS = 60;
/** A request for a file that will be hashed within this time is held instead of refused. */
export const HASHING_PATIENCE = 200;
/** What answers may take to finish after an end was asked for; a second call cuts them off at once. */
export const END_GRACE = 5_000;

/** Most files hashed at once when nobody waits for them, and never more than half the processors; each takes two threads. */
export const MOST_HASHED_AT_ONCE = 4;
/** Files that somebody waits for hashed at once, so that a short one does not wait for a long one. */
export const URGENT_HASHED_AT_ONCE = 4;
/** Kept digests read at once: each takes a file descriptor. */
export const CACHE_READS = 32;
/**
 * A file is hashed only when it was last changed this long ago: a kernel stamps changes with a clock of a few
 * milliseconds, and a second change within one tick could not be told from the first.
 */
export const SETTLE_TIME = 100;
/** A file that changed while it was hashed is tried again after this, doubled each time up to the longest. */
export const REHASH_DELAY = 250;
export const MOST_REHASH_DELAY = 10_000;
/**
 * A file that could not be hashed is tried again when somebody asks for it, but not before this, doubled each time up
 * to the longest: what hinders it (a bad disk, no memory for a thread) rarely passes within a moment.
 */
export const LEAST_SETBACK = 1_000;
export const MOST_SETBACK = 60_000;
/** When this many pairs of hashing threads have died in a row, no more are started for a while: it is not the file. */
export const DEATHS_IN_A_ROW = 3;
/** Hashing threads with nothing to do end after this. */
export const HASHING_IDLE = 2_000;
/** Kept digests that nobody asked for in this many days are removed. */
export const CACHE_DAYS = 90;

/** A folder's list of names is read again when it is older than this. */
export const LISTING_AGE = 2_000;
/** Names in a list at most; the files past it are served all the same. */
export const MOST_LISTED = 10_000;
