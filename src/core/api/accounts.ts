import { z } from 'zod';

import { Id, line, pageQuery, Time } from './common.ts';

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
  .regex(/^[^\s@]+@[^\s@]+$/, 'an email address')
  .refine((email) => line(254).safeParse(email).success, 'an email address')
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

export const Me = User.extend({ expiresAt: Time.nullable().describe('When this token ends; null: never.') });
export type Me = z.infer<typeof Me>;
export const OwnPassword = z.strictObject({
  current: z.string().min(1).max(MOST_PASSWORD),
  password: Password,
});

export const UserListQuery = pageQuery({
  search: line(254).optional().describe('Part of the email, in any case.'),
});
export const UserList = z.object({ items: z.array(User), next: z.string().nullable() });
export type UserList = z.infer<typeof UserList>;
/** A user's id or email. */
export const UserKey = z.strictObject({ id: line(254).describe('Id or email.') });

export const UserCreation = z.strictObject({ email: Email, password: Password, role: Role });
export const UserChange = z.strictObject({
  role: Role.optional(),
  disabled: z.boolean().optional(),
  password: Password.optional(),
});

export const ApiKeyListQuery = pageQuery({
  user: line(254).optional().describe("Id or email: another's keys, for admins."),
});
export const ApiKeyCreation = z.strictObject({
  name: line(100),
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
export const ApiKeyList = z.object({ items: z.array(ApiKey), next: z.string().nullable() });
export type ApiKeyList = z.infer<typeof ApiKeyList>;
/** The only answer that has the key itself. */
export const NewApiKey = ApiKey.extend({ key: z.string().describe('Shown this once.') });
export type NewApiKey = z.infer<typeof NewApiKey>;

export const AuditQuery = pageQuery({
  actor: line(254).optional().describe('Email or server name.'),
  action: line(100).optional().describe('Such as user.created.'),
});
export const AuditLine = z.object({
  id: Id,
  at: Time,
  actor: z.string().nullable().describe('Email or server name; null: the fleet itself.'),
  address: z.string().nullable().describe('Network address that it came from.'),
  action: z.string(),
  subject: z.string().nullable().describe('Id of what was changed.'),
  details: z.record(z.string(), z.unknown()),
});
/** Newest first. */
export const AuditList = z.object({ items: z.array(AuditLine), next: z.string().nullable() });
export type AuditList = z.infer<typeof AuditList>;
