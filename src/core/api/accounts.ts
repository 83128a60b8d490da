import { z } from 'zod';

import { Id, Time } from './common.ts';

/** Shortest password taken (NIST SP 800-63B, 3.1.1.2). */
export const LEAST_PASSWORD = 8;
/** Longest: so that hashing one costs what hashing any other does. */
export const MOST_PASSWORD = 256;

/**
 * - `reader`: lists and downloads what they may
 * - `publisher`: publishes too, and renames and deletes their own
 * - `admin`: everything, servers and users among it
 */
export const Role = z.enum(['reader', 'publisher', 'admin']);
export type Role = z.infer<typeof Role>;

export const Email = z
  .string()
  .min(3)
  .max(254)
  .regex(/^[^\s@]+@[^\s@]+$/)
  .toLowerCase();
export const Password = z.string().min(LEAST_PASSWORD).max(MOST_PASSWORD);

export const User = z.object({
  id: Id,
  email: z.string(),
  role: Role,
  disabled: z.boolean(),
  createdAt: Time,
});
export type User = z.infer<typeof User>;

export const LoginRequest = z.strictObject({ email: Email, password: z.string().min(1).max(MOST_PASSWORD) });
export const LoginAnswer = z.object({
  token: z.string().describe('Session token, for `Authorization: Bearer`.'),
  expiresAt: Time,
  user: User,
});
export type LoginAnswer = z.infer<typeof LoginAnswer>;

export const UserCreation = z.strictObject({ email: Email, password: Password, role: Role });
export const UserChange = z.strictObject({
  role: Role.optional(),
  disabled: z.boolean().optional(),
  password: Password.optional(),
});

export const ApiKeyCreation = z.strictObject({
  name: z.string().min(1).max(100),
  expiresAt: Time.optional(),
});
export const ApiKey = z.object({
  id: Id,
  name: z.string(),
  /** First characters of the key, to tell it from others. */
  start: z.string(),
  createdAt: Time,
  expiresAt: Time.nullable(),
  lastUsedAt: Time.nullable(),
});
export type ApiKey = z.infer<typeof ApiKey>;
/** The only answer that has the key itself. */
export const NewApiKey = ApiKey.extend({ key: z.string().describe('Shown this once.') });
export type NewApiKey = z.infer<typeof NewApiKey>;
