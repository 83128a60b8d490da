import type { GrantClaims } from '../../core/api/files.ts';
import type { FleetClock } from './fleet-clock.ts';
import { CLOCK_TOLERANCE, DELETED_MEMORY, MOST_REMEMBERED } from './limits.ts';
import type { StateFile } from './state-file.ts';

type Kind = 'grant' | 'file';

/**
 * Grants that were revoked and files that were deleted, remembered across restarts for as long as a grant could still come
 * up with them.
 */
export class Revocations {
  readonly #state: StateFile;
  readonly #clock: FleetClock;
  /** Ends, milliseconds since 1970, by id. */
  readonly #grants = new Map<string, number>();
  readonly #files = new Map<string, number>();
  #added = 0;

  constructor(state: StateFile, clock: FleetClock) {
    this.#state = state;
    this.#clock = clock;
    for (const { kind, id, until } of state.all('select kind, id, until from revoked')) {
      this.#of(kind as Kind).set(String(id), Number(until));
    }
    this.#prune();
  }

  get size(): number {
    return this.#grants.size + this.#files.size;
  }

  /** Why that grant counts no more. */
  reasonAgainst({ jti, file }: GrantClaims): 'revoked' | 'deleted' | undefined {
    if (this.#grants.has(jti)) return 'revoked';
    return this.#files.has(file) ? 'deleted' : undefined;
  }

  isDeleted(file: string): boolean {
    return this.#files.has(file);
  }

  /** @param expires when the grant ends by itself, milliseconds since 1970 */
  revoke(grant: string, expires: number): void {
    // Never less than the time in which a clock that was wrong could come right.
    const until = Math.max(expires, this.#clock.now()) + (CLOCK_TOLERANCE + 3600) * 1000;
    this.#add('grant', grant, until);
  }

  fileDeleted(file: string): void {
    this.#add('file', file, this.#clock.now() + DELETED_MEMORY);
  }

  #add(kind: Kind, id: string, until: number): void {
    this.#of(kind).set(id, until);
    this.#state.run(
      'insert into revoked values (?, ?, ?) on conflict (kind, id) do update set until = max(until, excluded.until)',
      kind,
      id,
      Math.round(until),
    );
    this.#added++;
    if (this.#added % 1_000 === 0 || this.size > MOST_REMEMBERED) this.#prune();
  }

  #prune(): void {
    const now = this.#clock.now();
    const surplus = this.size - MOST_REMEMBERED;
    this.#state.run('delete from revoked where until < ?', Math.round(now));
    for (const map of [this.#grants, this.#files]) {
      for (const [id, until] of map) if (until < now) map.delete(id);
    }
    if (surplus <= 0) return;
    const first = this.#state.all('select kind, id from revoked order by until limit ?', surplus);
    for (const { kind, id } of first) {
      this.#of(kind as Kind).delete(String(id));
      this.#state.run('delete from revoked where kind = ? and id = ?', String(kind), String(id));
    }
  }

  #of(kind: Kind): Map<string, number> {
    return kind === 'grant' ? this.#grants : this.#files;
  }
}
