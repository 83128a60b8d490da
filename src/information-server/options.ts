import { join } from 'node:path';
import { createSecureContext } from 'node:tls';

import { pino } from 'pino';
import { z } from 'zod';

import { Email, Password } from '../core/api/accounts.ts';
import { MOST_REPLICAS } from '../core/api/uploads.ts';
import { HeadwaterError } from '../core/errors.ts';
import { newId } from '../database/ids.ts';
import { namesProxies } from './platform/trusted-proxies.ts';
import { COPIES, TIMES, type StartSettings } from './settings.ts';

/** Port that an information server listens on when none is given. */
export const INFORMATION_PORT = 7400;
/** Milliseconds that requests may take to finish once the server is to stop. */
export const STOP_GRACE = 5_000;
/** Shortest join token taken, characters: 32 hexadecimal digits are 128 bits. */
export const LEAST_JOIN_TOKEN = 32;

const seconds = z.number().positive();

const OPTIONS = z.strictObject({
  /** Folder of its own: SQLite's file, the join token. */
  data: z.string().min(1),
  /** `postgres://...`; undefined: an SQLite file in the data folder. A path is an SQLite file too. */
  database: z.string().min(1).optional(),
  broker: z
    .string()
    .regex(/^amqps?:\/\//, 'an address that begins with amqp:// or amqps://')
    .optional(),
  publicUrl: z.url({ protocol: /^https?$/ }).optional(),
  address: z.string().min(1).optional(),
  port: z.int().min(0).max(65_535).default(INFORMATION_PORT),
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  /** Proxies in front, whose `X-Forwarded-For` says who asks: addresses, networks, or names that stand for some. */
  trustedProxies: z
    .array(
      z.string().refine(namesProxies, 'an address, a network such as 10.0.0.0/8, loopback or uniquelocal'),
    )
    .default([]),
  admin: z.strictObject({ email: Email, password: Password }).optional(),
  joinToken: z
    .string()
    .min(LEAST_JOIN_TOKEN)
    .regex(/^[\w.~+/=-]+$/, 'letters, digits and -._~+/=')
    .optional(),
  times: z
    .strictObject({
      heartbeat: seconds,
      suspectAfter: seconds,
      deadAfter: seconds,
      lease: seconds,
      grant: seconds,
      session: seconds,
    })
    .partial()
    .optional(),
  /** Copies of what is published, and how they are made again. */
  copies: z
    .strictObject({
      replicas: z.int().min(1).max(MOST_REPLICAS),
      keep: seconds,
      every: seconds,
      mostPerServer: z.number().positive(),
      mostInAll: z.number().positive(),
      leastRate: z.number().positive(),
    })
    .partial()
    .optional(),
  log: z.custom<StartSettings['log']>((value) => typeof value === 'object' && value !== null).optional(),
  signal: z.instanceof(AbortSignal).optional(),
  checkAnswers: z.boolean().default(false),
  grace: z.number().nonnegative().default(STOP_GRACE),
});

/** What a caller may say of an information server; everything but `data` has a default. */
export type InformationServerOptions = z.input<typeof OPTIONS>;

/** @throws HeadwaterError `HW_USAGE`, naming the option */
export function normaliseInformationServerOptions(options: InformationServerOptions): StartSettings {
  const { success, data: given, error } = OPTIONS.safeParse(options);
  if (!success) {
    const [issue] = error.issues;
    throw usage(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is wrong'}`);
  }
  const { data, tls } = given;
  if (tls !== undefined) checkTls(tls);
  return {
    id: newId(),
    data,
    database: given.database ?? join(data, 'fleet.sqlite'),
    broker: given.broker,
    publicUrl: given.publicUrl?.replace(/\/+$/, ''),
    address: given.address,
    port: given.port,
    tls,
    trustedProxies: given.trustedProxies,
    admin: given.admin,
    joinToken: given.joinToken,
    times: { ...TIMES, ...definedOf(given.times ?? {}) },
    copies: { ...COPIES, ...definedOf(given.copies ?? {}) },
    log: given.log ?? pino({ level: 'silent' }),
    signal: given.signal ?? new AbortController().signal,
    checkAnswers: given.checkAnswers,
    grace: given.grace,
  };
}

function checkTls(tls: { readonly cert: string; readonly key: string }): void {
  try {
    createSecureContext(tls);
  } catch (cause) {
    throw usage(`the TLS certificate and key cannot be used: ${(cause as Error).message}`, cause);
  }
}

function definedOf<T extends object>(given: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

function usage(message: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError('HW_USAGE', message, { cause });
}
