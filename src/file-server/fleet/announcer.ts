import {
  AnnouncementAnswer,
  MOST_ANNOUNCED,
  type AnnouncedFile,
  type Announcement,
} from '../../core/api/servers.ts';
import type { Has } from '../../core/api/common.ts';
import { ChunkLayout } from '../../core/chunks.ts';
import { HeadwaterError } from '../../core/errors.ts';
import { canonicalManifest } from '../../core/manifest.ts';
import type { Holding, Inventory } from './inventory.ts';
import { ANNOUNCE_DELAY, MOST_ANNOUNCED_BYTES } from './limits.ts';

export interface AnnouncerOptions {
  readonly inventory: Inventory;
  /** `POST servers/:id/holdings`. */
  readonly send: (announcement: Announcement) => Promise<unknown>;
  /** `PUT servers/:id/manifests/:digest`. */
  readonly sendManifest: (digest: string, text: string) => Promise<void>;
  /** The number of this process. */
  readonly instance: number;
  /** Waits before what failed is tried again. */
  readonly backOff: (attempt: number) => Promise<void>;
  /** No file refers to these contents any more, of those in the chunk store. */
  readonly onUnwanted: (manifests: readonly string[]) => Promise<void>;
  /** Everything that is held is known to the fleet. */
  readonly onTold: () => void;
  readonly onFault: (error: HeadwaterError) => void;
}

/** Manifests sent at once: an information server writes down those that come together in one go. */
const MANIFESTS_AT_ONCE = 64;

/** Versions between which changes are told; `whole`: as a part of everything. */
interface Telling {
  readonly from: number;
  readonly to: number;
  readonly whole: boolean;
  readonly last: boolean;
}

/**
 * Keeps the fleet in step with the inventory: tells what changed since the version that is known there, a page at a time, or
 * everything where that version is not one of ours. An announcement whose answer was lost is sent again with the same
 * versions, so that it does what it did, and the manifests asked for in the answer are not forgotten.
 */
export class Announcer {
  readonly #options: AnnouncerOptions;
  /** Version that is known to the fleet; undefined: nobody knows, tell everything. */
  #known: number | undefined;
  /** In the middle of telling everything. */
  #whole = false;
  /** Sent, and not answered. */
  #open: Telling | undefined;
  /** Counts announcements, so that a heartbeat that crossed one is not taken for news. */
  #sent = 0;
  #work: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #ready = false;
  readonly #told = new Set<string>();
  #closed = false;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /** Grows with every announcement. */
  get sent(): number {
    return this.#sent;
  }

  /** The version that the fleet knows. */
  get known(): number {
    return this.#known ?? 0;
  }

  /** The server has joined; this is what is known of it. Begins to tell. */
  joined(version: number): void {
    const { inventory } = this.#options;
    const isOurs = version > 0 && version <= inventory.version && version >= inventory.horizon;
    this.#known = isOurs ? version : undefined;
    this.#whole = false;
    this.#open = undefined;
    this.#ready = true;
    this.tell();
  }

  /** What a heartbeat brought. `sent` as it was when the heartbeat was sent. */
  heard(version: number, sent: number): void {
    if (sent !== this.#sent || this.#work !== undefined || version === this.#known) return;
    if (this.#open !== undefined) return;
    this.#known = undefined;
    this.tell();
  }

  /** What is held has changed: told soon, with what changes at the same time. */
  readonly changed = (): void => {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.tell();
    }, ANNOUNCE_DELAY).unref();
  };

  /** Tells what there is to tell, now. */
  tell(): void {
    if (!this.#ready || this.#closed) return;
    this.#again = true;
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#work;
  }

  async #run(): Promise<void> {
    for (let attempt = 0; this.#again && !this.#closed;) {
      this.#again = false;
      const progressed = (): void => {
        attempt = 0;
      };
      try {
        while (!this.#closed && (await this.#page())) progressed();
        while (!this.#closed && (await this.#manifests(progressed)));
        if (!this.#closed) this.#options.onTold();
      } catch (error) {
        if (this.#closed || !this.#takes(error)) return;
        this.#again = true;
        await this.#options.backOff(attempt++);
      }
    }
  }

  /** Whether it is worth trying again. */
  #takes(error: unknown): boolean {
    if (!(error instanceof HeadwaterError)) {
      this.#fault(
        new HeadwaterError('HW_PROTOCOL', 'what an information server answers cannot be understood', {
          cause: error,
        }),
      );
      return true;
    }
    if (error.remedy === 'wait') return true;
    // Whoever is not known any more joins again, and is told then what is known of it.
    if (error.code === 'HW_TOKEN_INVALID' || error.code === 'HW_SUPERSEDED') return false;
    if (error.code === 'HW_CONFLICT') {
      this.#known = undefined;
      this.#whole = false;
      this.#open = undefined;
      return true;
    }
    this.#fault(error);
    return true;
  }

  /** What stays so is told once. */
  #fault(error: HeadwaterError): void {
    if (this.#told.has(error.message) || this.#told.size > 1_000) return;
    this.#told.add(error.message);
    this.#options.onFault(error);
  }

  /** Sends one page; false when there is nothing to send. */
  async #page(): Promise<boolean> {
    const { inventory, instance, send, onUnwanted } = this.#options;
    const page = this.#next();
    if (page === undefined) return false;
    const { telling, changes } = page;
    this.#open = telling;
    this.#sent++;
    const answer = AnnouncementAnswer.parse(
      await send({
        instance,
        from: telling.from,
        to: telling.to,
        last: telling.last,
        added: changes.filter(isThere).map(announced),
        removed: telling.whole
          ? []
          : changes.filter((each) => !isThere(each)).map(({ manifest }) => manifest),
      }),
    );
    inventory.want(answer.wanted);
    if (answer.unwanted.length > 0) await onUnwanted(answer.unwanted);
    this.#open = undefined;
    this.#known = telling.to;
    this.#whole = telling.whole && !telling.last;
    for (const each of answer.refused) {
      const name = inventory.holding(each)?.name ?? each;
      const said = `the fleet knows ${name} with another size or SHA-256: it is not taken`;
      this.#fault(new HeadwaterError('HW_MANIFEST_INVALID', said, { details: { manifest: each } }));
    }
    return true;
  }

  #next(): { telling: Telling; changes: Holding[] } | undefined {
    const { inventory } = this.#options;
    const open = this.#open;
    const anew = this.#known === undefined;
    const from = open?.from ?? this.#known ?? 0;
    const whole = open?.whole ?? (anew || this.#whole);
    // Telling everything to nobody: something must be said, so that what is known of earlier times goes.
    if (!whole && from >= inventory.version) return undefined;
    const found = inventory.changedSince(from, MOST_ANNOUNCED + 1);
    const page = fitting(open === undefined ? found : found.filter(({ version }) => version <= open.to));
    const last = open?.last ?? page.length === found.length;
    const to = open?.to ?? (last ? inventory.version : (page.at(-1)?.version ?? from));
    const changes = page.filter((each) => isThere(each) || !each.held);
    return { telling: { from, to, whole, last: whole ? last : true }, changes };
  }

  /** Sends a few of the manifests that were asked for; false when none is. */
  async #manifests(progressed: () => void): Promise<boolean> {
    const wanted = this.#options.inventory.wanted(MANIFESTS_AT_ONCE);
    const results = await Promise.allSettled(
      wanted.map(async (digest) => {
        await this.#manifest(digest);
        progressed();
      }),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return wanted.length > 0;
  }

  async #manifest(digest: string): Promise<void> {
    const { inventory, sendManifest } = this.#options;
    const manifest = inventory.manifest(digest);
    try {
      if (manifest !== undefined) await sendManifest(digest, canonicalManifest(manifest));
    } catch (error) {
      // Nobody wants it any more, or not like this: it is asked for again if so.
      if (!(error instanceof HeadwaterError) || error.remedy === 'wait') throw error;
      if (error.code === 'HW_TOKEN_INVALID' || error.code === 'HW_SUPERSEDED') throw error;
      this.#fault(error);
    }
    if (!this.#closed) inventory.sent(digest);
  }
}

/** As many as one announcement takes. */
function fitting(changes: readonly Holding[]): Holding[] {
  const page: Holding[] = [];
  let bytes = 0;
  for (const each of changes) {
    bytes += Buffer.byteLength(each.name) + 20 * hasHere(each).length;
    if (page.length === MOST_ANNOUNCED || (page.length > 0 && bytes > MOST_ANNOUNCED_BYTES)) break;
    page.push(each);
  }
  return page;
}

/** Whether chunks of it can be had here. */
function isThere({ held, withdrawn, stored }: Holding): boolean {
  return (held && !withdrawn) || stored !== undefined;
}

function announced(holding: Holding): AnnouncedFile {
  const { name, size, sha256, manifest, stored } = holding;
  const has = hasHere(holding);
  return { name, size, sha256, manifestSha256: manifest, has, ...(stored !== undefined && { stored: true }) };
}

function hasHere(holding: Holding): Has {
  return hasOf(missingOf(holding), new ChunkLayout(holding.size, holding.chunkSize).count);
}

/** Of a content that is in a folder and in the chunk store: what the one that has more of it lacks, as it is served from there. */
function missingOf({ size, chunkSize, held, withdrawn, missing, stored }: Holding): readonly number[] {
  if (stored === undefined) return missing;
  const { count } = new ChunkLayout(size, chunkSize);
  if (held && !withdrawn && missing.length <= count - stored.count) return missing;
  return Array.from({ length: count }, (_, at) => at).filter((at) => !stored.has(at));
}

/** Chunks that are there, as ranges of their numbers. */
export function hasOf(missing: readonly number[], count: number): Has {
  if (missing.length === 0) return 'all';
  const has: [number, number][] = [];
  let first = 0;
  for (const each of [...missing, count]) {
    if (each > first) has.push([first, each - 1]);
    first = each + 1;
  }
  return has;
}
