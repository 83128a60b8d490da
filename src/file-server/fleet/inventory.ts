import { Bitmap } from '../../core/bitmap.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import { MANIFEST_VERSION, type Manifest } from '../../core/manifest.ts';
import { GONE_MEMORY } from './limits.ts';
import type { Row, StateFile } from './state-file.ts';

/** A file of a folder, as it was seen. */
export interface SeenFile {
  /** The folder's real path. */
  readonly folder: string;
  /** Path below it, with `/`. */
  readonly name: string;
  /** The real path. */
  readonly path: string;
  /** `identityText` of it. */
  readonly state: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** A content that a folder holds. */
export interface Holding {
  /** Digest of the manifest's canonical text. */
  readonly manifest: string;
  readonly sha256: string;
  readonly size: number;
  readonly chunkSize: number;
  readonly name: string;
  /** Chunks that are bad here, ascending. */
  readonly missing: readonly number[];
  readonly version: number;
  /** False: it was in a folder, and is gone. */
  readonly held: boolean;
  /** Chunks of it that the chunk store holds for the fleet; undefined: none. */
  readonly stored: Bitmap | undefined;
  /** Its file was deleted from the fleet: not served and not told again while it is here. */
  readonly withdrawn: boolean;
}

/** Where a content can be read. */
export type Place = Pick<SeenFile, 'folder' | 'name' | 'path' | 'state'>;

/** What an empty list is told as: 0 means that nothing was told. */
const FIRST_VERSION = 1;
/** Sorts after every name: no UTF-8 text begins with more. */
const LAST = '\u{10ffff}';
const HOLDING = 'manifest, sha256, size, chunk_size, name, missing, version, held, withdrawn, stored';

/**
 * Which files the folders have and which contents these are, kept in the state file. Every change of what is held gets the
 * next version.
 */
export class Inventory {
  readonly #state: StateFile;
  /** Called when what is held has changed. */
  readonly #onChange: () => void;
  #version: number;

  constructor(state: StateFile, onChange: () => void) {
    this.#state = state;
    this.#onChange = onChange;
    this.#version = Number(state.fact('version') ?? FIRST_VERSION);
    // What hindered it then may be over.
    state.run('update files set retry_at = 0 where retry_at > 0');
  }

  /** Grows with every change of what is held. */
  get version(): number {
    return this.#version;
  }

  /** A file as it is now. One that is another than before loses its holding at once. True when it has to be hashed. */
  saw(file: SeenFile): boolean {
    const { folder, name, path, state, size, modified } = file;
    const before = this.#state.get(
      'select state, path, manifest, gone_at from files where folder = ? and name = ?',
      folder,
      name,
    );
    if (before !== undefined && before['state'] === state) {
      const back = before['gone_at'] !== null;
      if (back || before['path'] !== path) {
        const set = 'update files set path = ?, gone_at = null where folder = ? and name = ?';
        this.#state.run(set, path, folder, name);
      }
      if (back && typeof before['manifest'] === 'string') this.#hold(before['manifest'], name);
      return before['manifest'] === null;
    }
    this.#state.run(
      `insert into files (folder, name, path, state, size, modified) values (?, ?, ?, ?, ?, ?)
      on conflict (folder, name) do update set path = excluded.path, state = excluded.state, size = excluded.size,
        modified = excluded.modified, manifest = null, retry_at = 0, gone_at = null`,
      folder,
      name,
      path,
      state,
      size,
      modified,
    );
    if (typeof before?.['manifest'] === 'string') this.#releaseUnlessElsewhere(before['manifest']);
    return true;
  }

  /** A file is not there any more, or is not to be served. */
  gone(folder: string, name: string, now: number): void {
    const row = this.#state.get(
      'select manifest, gone_at from files where folder = ? and name = ?',
      folder,
      name,
    );
    if (row === undefined || row['gone_at'] !== null) return;
    this.#state.run('update files set gone_at = ? where folder = ? and name = ?', now, folder, name);
    if (typeof row['manifest'] === 'string') this.#releaseUnlessElsewhere(row['manifest']);
  }

  /** What is known to be directly in a folder's folder: files, and folders with files somewhere below. */
  children(folder: string, below: string): { readonly files: Set<string>; readonly folders: Set<string> } {
    const prefix = below === '' ? '' : `${below}/`;
    const end = below === '' ? LAST : `${below}0`;
    const files = new Set<string>();
    const folders = new Set<string>();
    for (let from: string | undefined = prefix; from !== undefined;) {
      const rows = this.#names(folder, from, end);
      from = undefined;
      for (const name of rows) {
        const slash = name.indexOf('/', prefix.length);
        if (slash >= 0) {
          folders.add(name.slice(0, slash));
          // Past everything below it: "0" is what follows "/".
          from = `${name.slice(0, slash)}0`;
          break;
        }
        files.add(name);
        from = `${name}\0`;
      }
    }
    return { files, folders };
  }

  /** Files in a folder's folder and below it; at most 500. */
  namesBelow(folder: string, below: string): string[] {
    return below === '' ? this.#names(folder, '', LAST) : this.#names(folder, `${below}/`, `${below}0`);
  }

  /** Folders that files were seen in and that are not served any more. */
  foldersExcept(folders: readonly string[]): string[] {
    const rows = this.#state.all('select distinct folder from files where gone_at is null');
    return rows.map(({ folder }) => String(folder)).filter((each) => !folders.includes(each));
  }

  /**
   * Files that are not hashed yet and may be tried, of `least` to `largest` bytes, the newest first. `now`: milliseconds
   * since 1970.
   */
  pending(now: number, most: number, least: number, largest: number): SeenFile[] {
    const rows = this.#state.all(
      `select folder, name, path, state, size, modified from files
        where manifest is null and gone_at is null and retry_at <= ? and size between ? and ?
        order by modified desc limit ?`,
      now,
      least,
      largest,
      most,
    );
    return rows.map((row) => ({
      ...placeOf(row),
      size: Number(row['size']),
      modified: Number(row['modified']),
    }));
  }

  /** It is not to be tried before then, milliseconds since 1970. */
  retryAt({ folder, name }: Place, at: number): void {
    this.#state.run('update files set retry_at = ? where folder = ? and name = ?', at, folder, name);
  }

  /** When the next of those that may not be tried yet may be. */
  nextRetry(now: number): number | undefined {
    const row = this.#state.get(
      `select min(retry_at) as at from files
        where manifest is null and gone_at is null and retry_at > 0 and retry_at > ?`,
      now,
    );
    return row?.['at'] === null ? undefined : Number(row?.['at']);
  }

  /** The digests of a file in that state are known. False when it is in another by now. */
  hashed(file: SeenFile, manifestSha256: string, manifest: Manifest): boolean {
    return this.#state.together(() => {
      const changed = this.#state.run(
        'update files set manifest = ? where path = ? and state = ? and gone_at is null',
        manifestSha256,
        file.path,
        file.state,
      );
      if (changed === 0) return false;
      const { sha256, size, chunkSize, chunks } = manifest;
      this.#state.run(
        `insert into holdings (manifest, sha256, size, chunk_size, chunks, name, version, held)
          values (?, ?, ?, ?, ?, ?, 0, 0) on conflict (manifest) do nothing`,
        manifestSha256,
        sha256,
        size,
        chunkSize,
        Buffer.from(chunks.join(''), 'hex'),
        file.name,
      );
      this.#hold(manifestSha256, file.name);
      return true;
    });
  }

  holding(manifest: string): Holding | undefined {
    const row = this.#state.get(`select ${HOLDING} from holdings where manifest = ?`, manifest);
    return row && holdingOf(row);
  }

  /** Files that have that content. */
  places(manifest: string): Place[] {
    const rows = this.#state.all(
      'select folder, name, path, state from files where manifest = ? and gone_at is null limit 8',
      manifest,
    );
    return rows.map(placeOf);
  }

  /** The manifest, where the content is or was held. */
  manifest(digest: string): Manifest | undefined {
    const row = this.#state.get(
      'select sha256, size, chunk_size, chunks from holdings where manifest = ?',
      digest,
    );
    if (row === undefined) return undefined;
    const hex = Buffer.from(row['chunks'] as Uint8Array).toString('hex');
    return {
      version: MANIFEST_VERSION,
      size: Number(row['size']),
      chunkSize: Number(row['chunk_size']),
      sha256: String(row['sha256']),
      chunks: hex.match(/.{64}/g) ?? [],
    };
  }

  /** Digest of one chunk. */
  chunkDigest(manifest: string, chunk: number): string | undefined {
    const row = this.#state.get(
      'select hex(substr(chunks, ?, 32)) as digest from holdings where manifest = ?',
      chunk * 32 + 1,
      manifest,
    );
    const digest = row?.['digest'];
    return typeof digest === 'string' && digest.length === 64 ? digest.toLowerCase() : undefined;
  }

  /** Chunks turned out to be bad: they are held no more. False when that was known. */
  lost(manifest: string, chunks: readonly number[]): boolean {
    const holding = this.holding(manifest);
    if (holding === undefined) return false;
    const missing = [...new Set([...holding.missing, ...chunks])].sort((a, b) => a - b);
    if (missing.length === holding.missing.length) return false;
    this.#change(manifest, 'missing = ?', JSON.stringify(missing));
    return true;
  }

  /** That copy is not what it was taken for; it is left alone until it changes. */
  distrust({ folder, name, state }: Place): void {
    this.#state.run(
      `update files set manifest = '' where folder = ? and name = ? and state = ?`,
      folder,
      name,
      state,
    );
  }

  /**
   * The chunk store holds these chunks of a content; undefined: none any more.
   *
   * @param chunks digests of all its chunks, 32 bytes each
   */
  stores(
    manifest: string,
    { sha256, size, chunkSize }: Pick<Manifest, 'sha256' | 'size' | 'chunkSize'>,
    chunks: Uint8Array,
    has: Bitmap | undefined,
  ): void {
    this.#state.together(() => {
      // Named by its digest: what files of that content are called is not known here.
      this.#state.run(
        `insert into holdings (manifest, sha256, size, chunk_size, chunks, name, version, held)
          values (?, ?, ?, ?, ?, ?, 0, 0) on conflict (manifest) do nothing`,
        manifest,
        sha256,
        size,
        chunkSize,
        chunks,
        manifest,
      );
      this.#change(manifest, 'stored = ?', has === undefined ? null : has.bytes);
    });
  }

  /** Manifests of what the chunk store holds, a page at a time. */
  storedAfter(manifest: string, most: number): string[] {
    const rows = this.#state.all(
      'select manifest from holdings where stored is not null and manifest > ? order by manifest limit ?',
      manifest,
      most,
    );
    return rows.map((row) => String(row['manifest']));
  }

  /** The fleet deleted the file: the content is not served, and not told again before it was gone from the folders. */
  withdraw(manifest: string): void {
    // Not a change of what is held: the fleet knows.
    this.#state.run('update holdings set withdrawn = 1 where manifest = ? and held = 1', manifest);
  }

  /** The fleet gave a file another name than it has here. `at`: milliseconds since 1970; the latest counts. */
  renamed(file: string, name: string, at: number): void {
    this.#state.run(
      `insert into names values (?, ?, ?)
        on conflict (file) do update set name = excluded.name, at = excluded.at where excluded.at >= names.at`,
      file,
      name,
      at,
    );
  }

  /** What the fleet calls a file, where it has renamed it. */
  nameOf(file: string): string | undefined {
    const name = this.#state.get('select name from names where file = ?', file)?.['name'];
    return typeof name === 'string' ? name : undefined;
  }

  forgetName(file: string): void {
    this.#state.run('delete from names where file = ?', file);
  }

  /** Another fleet: what the one before deleted is nothing to this one. */
  restoreWithdrawn(): void {
    this.#state.run('update holdings set withdrawn = 0 where withdrawn = 1');
  }

  /** What changed after a version, in that order. */
  changedSince(version: number, most: number): Holding[] {
    const rows = this.#state.all(
      `select ${HOLDING} from holdings where version > ? order by version limit ?`,
      version,
      most,
    );
    return rows.map(holdingOf);
  }

  /** The first version from which all changes are still known. */
  get horizon(): number {
    return Number(this.#state.fact('horizon') ?? 0);
  }

  /** Marks contents whose manifests the fleet asked for. */
  want(manifests: readonly string[]): void {
    for (const each of manifests) this.#state.run('update holdings set wanted = 1 where manifest = ?', each);
  }

  wanted(most: number): string[] {
    const rows = this.#state.all('select manifest from holdings where wanted = 1 limit ?', most);
    return rows.map(({ manifest }) => String(manifest));
  }

  sent(manifest: string): void {
    this.#state.run('update holdings set wanted = 0 where manifest = ?', manifest);
  }

  /** Whether a file waits to be hashed. */
  get isPending(): boolean {
    return (
      this.#state.get('select 1 from files where manifest is null and gone_at is null limit 1') !== undefined
    );
  }

  /** How many are held, and how many files wait to be hashed. */
  counts(): { readonly held: number; readonly pending: number; readonly pendingBytes: number } {
    const held = this.#state.get(
      `select (select count(*) from holdings where held = 1 and withdrawn = 0)
        + (select count(*) from holdings where stored is not null and not (held = 1 and withdrawn = 0)) as n`,
    );
    const pending = this.#state.get(
      'select count(*) as n, sum(size) as bytes from files where manifest is null and gone_at is null',
    );
    return {
      held: Number(held?.['n'] ?? 0),
      pending: Number(pending?.['n'] ?? 0),
      pendingBytes: Number(pending?.['bytes'] ?? 0),
    };
  }

  /** Forgets what is gone for long. */
  prune(now: number): void {
    this.#state.together(() => {
      this.#state.run('delete from files where gone_at < ?', now - GONE_MEMORY);
      const unused =
        'held = 0 and stored is null and not exists (select 1 from files where files.manifest = holdings.manifest)';
      const last = this.#state.get(`select max(version) as version from holdings where ${unused}`);
      const horizon = Number(last?.['version'] ?? 0);
      if (horizon === 0) return;
      this.#state.run(`delete from holdings where ${unused}`);
      this.#state.setFact('horizon', Math.max(horizon, this.horizon));
    });
  }

  /** Does many small changes in one write to the disk. */
  together<T>(work: () => T): T {
    return this.#state.together(work);
  }

  #names(folder: string, from: string, end: string): string[] {
    const rows = this.#state.all(
      'select name from files where folder = ? and name >= ? and name < ? and gone_at is null order by name limit 500',
      folder,
      from,
      end,
    );
    return rows.map(({ name }) => String(name));
  }

  #hold(manifest: string, name: string): void {
    const row = this.#state.get('select held, missing from holdings where manifest = ?', manifest);
    if (row === undefined || (row['held'] === 1 && row['missing'] === '[]')) return;
    // Read through and found right: whatever was bad in another copy is good in this one.
    this.#change(manifest, `held = 1, missing = '[]', name = ?`, name);
  }

  #releaseUnlessElsewhere(manifest: string): void {
    const places = this.places(manifest);
    if (places.length > 0) return;
    this.#change(manifest, 'held = 0, withdrawn = ?', 0);
  }

  #change(manifest: string, set: string, value: string | number | Uint8Array | null): void {
    this.#state.together(() => {
      this.#version++;
      this.#state.run(
        `update holdings set ${set}, version = ? where manifest = ?`,
        value,
        this.#version,
        manifest,
      );
      this.#state.setFact('version', this.#version);
    });
    this.#onChange();
  }
}

function placeOf(row: Row): Place {
  const { folder, name, path, state } = row;
  return { folder: String(folder), name: String(name), path: String(path), state: String(state) };
}

function holdingOf(row: Row): Holding {
  const { count } = new ChunkLayout(Number(row['size']), Number(row['chunk_size']));
  const stored = row['stored'];
  return {
    stored: stored instanceof Uint8Array ? new Bitmap(count, stored) : undefined,
    manifest: String(row['manifest']),
    sha256: String(row['sha256']),
    size: Number(row['size']),
    chunkSize: Number(row['chunk_size']),
    name: String(row['name']),
    missing: JSON.parse(String(row['missing'])) as number[],
    version: Number(row['version']),
    held: row['held'] === 1,
    withdrawn: row['withdrawn'] === 1,
  };
}
