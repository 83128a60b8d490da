import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

import { Turns } from './turns.ts';

const derive = promisify(argon2);

/** Kibibytes of memory for one hash: OWASP's Password Storage Cheat Sheet, argon2id, with 2 passes and 1 lane. */
const MEMORY_KIB = 19_456;
const PASSES = 2;
const LANES = 1;
const SALT_BYTES = 16;
const TAG_BYTES = 32;
/** Hashes computed at once: each takes 19 MiB and a thread for some 25 ms. */
const HASHED_AT_ONCE = 2;
/** Hashes that may wait for their turn; above it callers are told to come again: some 2.5 s of work. */
const MOST_HASHES_WAITING = 200;

const turns = new Turns(HASHED_AT_ONCE, MOST_HASHES_WAITING);

interface Parsed {
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
  readonly salt: Buffer;
  readonly tag: Buffer;
}

/** Salted argon2id (RFC 9106) in PHC string format: `$argon2id$v=19$m=...,t=...,p=...$SALT$TAG`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const made = { memory: MEMORY_KIB, passes: PASSES, lanes: LANES, salt, tag: Buffer.alloc(TAG_BYTES) };
  const tag = await tagOf(password, made);
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$${base64(salt)}$${base64(tag)}`;
}

/** Whether the password is the one of the hash. What cannot be read as a hash fits no password, and takes as long. */
export async function passwordFits(password: string, hash: string | undefined): Promise<boolean> {
  const known = hash === undefined ? undefined : parse(hash);
  const tag = await tagOf(password, known ?? NOBODY);
  return known !== undefined && timingSafeEqual(tag, known.tag);
}

/** What an unknown email is checked against, so that it takes as long as a known one. */
const NOBODY: Parsed = {
  memory: MEMORY_KIB,
  passes: PASSES,
  lanes: LANES,
  salt: randomBytes(SALT_BYTES),
  tag: Buffer.alloc(TAG_BYTES),
};

function tagOf(password: string, { memory, passes, lanes, salt, tag }: Parsed): Promise<Buffer> {
  // Two ways of writing one letter are one password (NIST SP 800-63B, 3.1.1.2).
  const message = Buffer.from(password.normalize('NFKC'));
  return turns.run(() =>
    derive('argon2id', { message, nonce: salt, parallelism: lanes, tagLength: tag.length, memory, passes }),
  );
}

function parse(hash: string): Parsed | undefined {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/.exec(hash);
  if (match === null) return undefined;
  const [, memory, passes, lanes, salt = '', tag = ''] = match;
  return {
    memory: Number(memory),
    passes: Number(passes),
    lanes: Number(lanes),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  };
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
