/** Limits and defaults of an upload, with their reasons. Times are milliseconds unless the name says otherwise. */

/** Bytes that are read and sent at once: large enough that the system calls do not count. */
export const SEND_BYTES = 512 * 1024;
/** Chunks on their way at once to all servers; each takes at most two times what is sent at once: 32 MiB together. */
export const MOST_SENDING = 32;
/** Chunks on their way at once to one server: while some are being synced to its disk, others arrive. */
export const MOST_SENDING_TO_ONE = 6;
/** Bytes of the file that are hashed ahead of what is sent: still in the page cache when their turn comes. */
export const MOST_AHEAD = 256 * 1024 * 1024;
/** Chunks that are hashed ahead at least, however large they are. */
export const LEAST_AHEAD = 8;
/** Bytes that the hash threads are given at once, so that none of them waits for work. */
export const MOST_HASHING = 64 * 1024 * 1024;
/** Bytes of a file that is hashed without threads of its own: they take longer to start. */
export const HASHED_HERE = 8 * 1024 * 1024;
/** Waiting chunks that are looked through for one that a server has a free connection for. */
export const MOST_LOOKED_AT = 256;

/** Digests in one question to a server: its answer is there before the next ones are hashed. */
export const CHECK_BATCH = 1_000;
/** Servers after a chunk's own places that are asked for it: where it went when one of those was away. */
export const SPARE_PLACES = 2;
/** A server has this long to say which chunks it has; otherwise they are sent: nothing goes on with them before that. */
export const CHECK_TIME = 8_000;

/** A server that takes no byte for this long is passed over; more than it waits itself for the one behind it. */
export const SEND_STALL = 25_000;
/** A server has this long to answer when it has a chunk whole: it waits 60 s itself for those behind it. */
export const STORED_TIME = 90_000;
/** A server that takes so many times as long for a chunk as the others usually do is passed over; a slow line is slow to all. */
export const SLOW_TIMES = 10;
/** However fast the others are, a chunk may take this long: a disk that syncs, a queue before it. */
export const LEAST_PATIENCE = 8_000;
/** First time that a server that failed is left alone; doubles with each failure. */
export const FIRST_AWAY = 1_000;
export const MOST_AWAY = 30_000;
/** A server that is full, or takes nothing, is left alone for this long. */
export const CLOSED_AWAY = 15_000;

/** The list of servers is not asked for more often than this. */
export const SERVERS_AGE = 2_000;
/** Pause between two attempts to reach an information server, or to commit; doubles up to the most. */
export const FIRST_PAUSE = 500;
export const MOST_PAUSE = 5_000;
/** An upload that comes no further for this long, whatever it waits for, gives up; what was sent is kept. */
export const PATIENCE = 600_000;
/** Seconds that the fleet gets to look after every chunk of a large file. */
export const COMMIT_TIME = 120;

/** A file that was written to this short a time ago is looked at again: the next write may have the same time. */
export const YOUNG_FILE = 20;
