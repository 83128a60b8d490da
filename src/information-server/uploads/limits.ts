/** Limits and defaults of publishing, with their reasons. Times are seconds unless the name says otherwise. */

/** For which an upload's token is good: what a stolen one is good for; clients renew it at half its time. */
export const UPLOAD_TOKEN = 3_600;
/** For which a token is good with which one server asks another. */
export const INTERNAL_TOKEN = 300;
/** Uploads that one account has under way at most: each is a row that is kept for a day. */
export const MOST_UPLOADS = 10_000;
/** Longest manifest in its compact form, bytes: the digests of 262,144 chunks, and the head. */
export const MOST_COMPACT_MANIFEST = 8_388_664;
/** Bytes of manifests to be committed that are taken in at the same time. */
export const MOST_COMMITS_BYTES = 33_554_432;
/** File servers asked at the same time, in one commit, for what they have. */
export const CHECKS_AT_ONCE = 16;
/** A file server that has not answered such a question by then counts as away. */
export const CHECK_TIMEOUT = 20;
/** Longest answer to it that is read, bytes: 10,000 bits in base64 take 1,700. */
export const MOST_CHECK_ANSWER = 65_536;
/** Ranges of missing chunks that are told at most; the rest is found at the next commit. */
export const MOST_MISSING_RANGES = 10_000;
/** Between two looks for uploads to be forgotten. */
export const FORGET_UPLOADS_EVERY = 60;
/** Between two looks for contents that no file refers to any more. */
export const RELEASE_EVERY = 2;
/** Deleted files that are let go of in one transaction. */
export const MOST_RELEASED = 200;
/** File servers that are told of one content by name; beyond, all are told. */
export const MOST_TOLD = 1_000;
