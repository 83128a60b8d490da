import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

import { Turns } from './turns.ts';

const derive = promisify(argon2);

/** Kibibytes of memory for one hash: OWASP's Password Storage Cheat Sheet, argon2id, with 2 passes and 1 lane. */
const MEMORY_KIB = 19_456;
/** Passes over that memory, by the same source. */
const PASSES = 2;
/** Lanes of one hash, by the same source. */
const LANES = 1;
/** Random bytes of a hash's salt (RFC 9106, 3.1). */
const SALT_BYTES = 16;
/** Bytes of a hash (RFC 9106, 4). */
const TAG_BYTES = 32;
/** Passwords checked or set at once: each takes 19 MiB and a thread for some 25 ms. */
const HASHED_AT_ONCE = 2;
/** Those that may wait for their turn, some 2.5 s of work; above it callers are told to come again. */
const MOST_HASHES_WAITING = 200;

const turns = new Turns(HASHED_AT_ONCE, MOST_HASHES_WAITING);

interface Parameters {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly nonce: Buffer;
  readonly tagLength: number;
}

/**
 * Runs what hashes, when it is its turn: memory and threads are bounded by this.
 *
 * @throws HeadwaterError `HW_TOO_MANY` when too many wait
 */
export function inTurn<T>(work: () => Promise<T>): Promise<T> {
  return turns.run(work);
}

/** Salted argon2id (RFC 9106) in PHC string format: `$argon2id$v=19$m=...,t=...,p=...$SALT$TAG`. */
export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(SALT_BYTES);
  const tag = await inTurn(() => tagOf(password, ours(nonce)));
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$${base64(nonce)}$${base64(tag)}`;
}

/**
 * Whether the password is the one of the hash. What is no hash fits no password and takes as long. To be called within
 * `inTurn`.
 */
export async function passwordFits(password: string, hash: string | undefined): Promise<boolean> {
  const known = hash === undefined ? undefined : parse(hash);
  const tag = await tagOf(password, known?.parameters ?? NOBODY);
  return known !== undefined && timingSafeEqual(tag, known.tag);
}

/** What the password of an unknown email is hashed with, so that it takes as long as a known one's. */
const NOBODY = ours(randomBytes(SALT_BYTES));

function ours(nonce: Buffer): Parameters {
  return { memory: MEMORY_KIB, passes: PASSES, parallelism: LANES, nonce, tagLength: TAG_BYTES };
}

function tagOf(password: string, parameters: Parameters): Promise<Buffer> {
  // Two ways of writing one letter are one password (NIST SP 800-63B, 3.1.1.2).
  return derive('argon2id', { message: Buffer.from(password.normalize('NFKC')), ...parameters });
}

function parse(hash: string): { parameters: Parameters; tag: Buffer } | undefined {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/.exec(hash);
  if (match === null) return undefined;
  const [memory = 0, passes = 0, parallelism = 0] = match.slice(1, 4).map(Number);
  const [nonce = NONE, tag = NONE] = match.slice(4).map((text) => Buffer.from(text, 'base64'));
  return { parameters: { memory, passes, parallelism, nonce, tagLength: tag.length }, tag };
}

const NONE = Buffer.alloc(0);

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
