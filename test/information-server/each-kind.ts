import { describe } from 'node:test';

import type { DatabaseKind } from '../../src/database/database.ts';
import { withoutPostgres } from '../unit/database/each-database.ts';

/** Runs the same suite with information servers on SQLite and on PostgreSQL. */
export function onEachKind(name: string, suite: (kind: DatabaseKind) => void): void {
  describe(`${name}, on SQLite`, () => suite('sqlite'));
  describe(`${name}, on PostgreSQL`, { skip: withoutPostgres }, () => suite('postgresql'));
}
