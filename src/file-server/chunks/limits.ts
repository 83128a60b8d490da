/** Limits and defaults of the chunk store, with their reasons. Times are milliseconds unless the name says otherwise. */

/** Free space that is kept where nobody says how much, bytes: for the index, logs and whatever else the disk is for. */
export const DEFAULT_RESERVE = 1024 * 1024 * 1024;
/** The same as a part of the file system, where that is less: a small disk is to hold something, too. */
export const DEFAULT_RESERVE_SHARE = 0.05;
/** Free space is asked for again after this; what arrives meanwhile is counted. */
export const ROOM_AGE = 1_000;

/** Bytes of a chunk that are written at once; the next as many arrive meanwhile. */
export const WRITE_BYTES = 512 * 1024;
/** Chunks that arrive at once, each with at most two times what is written at once: bounds their memory to 128 MiB. */
export const MOST_ARRIVING = 128;
/** A chunk of which no byte arrives for this long is given up. */
export const ARRIVAL_STALL = 30_000;
/** A request with a chunk that has not arrived whole by then is closed: 64 MiB at about 110 KiB a second. */
export const ARRIVAL_TIMEOUT = 600_000;

/** A next holder that takes no byte for this long is given up, and is told as failed. */
export const FORWARD_STALL = 10_000;
/** Time that a next holder may hold a chunk up in all, besides what its bytes take at the least rate. */
export const FORWARD_PATIENCE = 10_000;
/** Slowest next holder that a chunk is held up for, bytes a second: a slower one is given up. */
export const LEAST_FORWARD_RATE = 256 * 1024;
/** A next holder has this long to write down what it has got, and as long again for each one behind it. */
export const FORWARD_ANSWER = 15_000;
/** Connections to one other file server, each with one chunk under way. */
export const FORWARD_CONNECTIONS = 32;
/** Longest answer of another file server that is read, bytes. */
export const MOST_PEER_ANSWER = 64 * 1024;
/** Who the fleet's servers are is asked again after this, or when one is not known. */
export const PEERS_AGE = 60_000;
/** Who is not known is not asked for again before this: anybody with an upload can make ids up. */
export const PEERS_ASKED_AGAIN = 250;

/** Tokens of uploads and other servers that are remembered as checked. */
export const MOST_CHUNK_TOKENS = 1_000;
/** Longest question about chunks, bytes: 10,000 digests as JSON. */
export const MOST_CHECK_BYTES = 1024 * 1024;
/** Chunks looked up before other work has its turn. */
export const CHECK_SLICE = 500;
/** Chunk files looked at at once. */
export const STATS_AT_ONCE = 32;
/** What another server asks about is kept for this at least: the commit that asked has to be heard of meanwhile. */
export const KEEP_FOR_ASKED = 3_600_000;
/** What another server sends, or a rebuilt index finds, is kept for this without a content that refers to it. */
export const KEEP_FOR_FOUND = 86_400_000;

/** Chunks that nothing refers to and nobody waits for are looked for this often. */
export const JANITOR_EVERY = 30_000;
/** Chunks removed before other work has its turn. */
export const JANITOR_SLICE = 200;

/** Manifests whose digests are kept in memory for what is sent now, bytes. */
export const MANIFEST_CACHE_BYTES = 32 * 1024 * 1024;
/** Longest manifest that an information server sends, bytes. */
export const MOST_MANIFEST_ANSWER = 80_000_000;
/** Bits of one content that are changed before other work has its turn. */
export const HOLD_SLICE = 2_000;

/** Chunks that one server pulls at once from others. */
export const COPIES_AT_ONCE = 4;
/** Bytes a second that are pulled from others at most, where nobody says: half of a Gbit/s line. */
export const DEFAULT_COPY_RATE = 64 * 1024 * 1024;
/** Times that a chunk is tried at all its sources before the order is given up: the fleet orders it anew. */
export const COPY_TRIES = 3;
/** First wait after all sources failed, doubled each time. */
export const COPY_AGAIN = 1_000;
/** What was copied is told to the fleet this often. */
export const COPIED_TOLD = 500;
/** A source that sends nothing for this long is passed over. */
export const COPY_STALL = 15_000;
/** An order of copies is done or forgotten after this: the fleet orders anew what it still wants. */
export const ORDER_AGE = 86_400_000;
/** A token for other servers is renewed so long before its end. */
export const TOKEN_MARGIN = 30_000;

/** Seconds in which every chunk is read again, where nobody says: a disk's silent faults are found before both copies have some. */
export const DEFAULT_SCRUB_INTERVAL = 1_209_600;
/** Bytes a second that are read again at most: what is left of a disk is for downloads. */
export const MOST_SCRUB_RATE = 64 * 1024 * 1024;
/** Bytes a second that are read again at least, while something is due. */
export const LEAST_SCRUB_RATE = 1024 * 1024;
/** Bytes read at once. */
export const SCRUB_BLOCK = 256 * 1024;
/** Nothing is due: looked again after this at the latest. */
export const SCRUB_REST = 60_000;
/** Bad chunks that are kept to be looked at; the oldest go first. */
export const MOST_QUARANTINED = 100;
/** What was copied is kept for this until it is counted to its content. */
export const KEEP_FOR_COPIED = 120_000;
/** A source that could not be reached is passed over for this long while there are others. */
export const AVOID_SOURCE = 10_000;
/** Chunks that are lost at once and told one by one; of more their number is told. */
export const MOST_TOLD_SINGLY = 10;
