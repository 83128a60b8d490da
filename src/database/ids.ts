import { randomUUID } from 'node:crypto';

/** A UUID, version 7 (RFC 9562, 5.7): the time in milliseconds, then chance, so that ids sort by when they were made. */
export function newId(now = Date.now()): string {
  const time = now.toString(16).padStart(12, '0');
  // Chance and variant are those of a version 4, which is made from a store of random bytes: four times as fast.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}
