import type { ChunkLayout } from '../../core/chunks.ts';
import { Placement } from '../../core/placement.ts';
import type { Budget } from './budget.ts';
import { countCopies, isSet, rangeOf, setBit, without } from './copy-counts.ts';
import type { RepairServer } from './repair-server.ts';

/** Chunks of a content that a server has, or is to get, or to let go. */
export interface ServerChunks {
  /** The server's number. */
  readonly server: number;
  /** Bitmap, least significant bit first. */
  readonly chunks: Uint8Array;
}

/** What is known of a content's copies. */
export interface ContentCopies {
  readonly layout: ChunkLayout;
  /** SHA-256 of a chunk, lower-case hex. */
  readonly digest: (chunk: number) => string;
  readonly replicas: number;
  readonly zones: number;
  /** In chunk stores. */
  readonly stored: readonly ServerChunks[];
  /** Elsewhere: they are sources, and no copies that were asked for. */
  readonly inPlace: readonly ServerChunks[];
  /** Ordered and not there yet. */
  readonly orders: readonly ServerChunks[];
  /** Told to be let go: they count no more, whatever is announced. */
  readonly drops: readonly ServerChunks[];
  /** Servers to turn to last. */
  readonly avoid: ReadonlySet<number>;
  /** Copies are to be moved to where they belong, too, though there are enough of them. */
  readonly rebalance: boolean;
}

export interface CopyOrder extends ServerChunks {
  readonly bytes: number;
}

/** What is to be done for a content. */
export interface Plan {
  /** Copies that count of the chunk that has the fewest. */
  readonly least: number;
  /** Chunks of which nobody has a copy. */
  readonly lost: number;
  readonly copies: readonly CopyOrder[];
  readonly drops: readonly ServerChunks[];
  /**
   * - `good`: nothing is to be done, or waited for
   * - `busy`: orders or drops are under way
   * - `capped`: more is to be ordered when there is room under the cap
   * - `stuck`: only another server, or one that comes back, can help
   */
  readonly state: 'good' | 'busy' | 'capped' | 'stuck';
}

/**
 * Says which copies of a content are to be made, and which are too many. Adding comes before trimming: what is let go has
 * enough other copies on servers that run, without those that are being let go already. Decides by its arguments alone.
 */
export function planContent(
  content: ContentCopies,
  servers: ReadonlyMap<number, RepairServer>,
  budget: Budget,
): Plan {
  const view = new View(content, servers);
  const copies = new Chosen();
  const drops = new Chosen();
  const { count } = content.layout;
  let [lost, capped, stuck] = [0, false, false];
  for (const chunk of view.unusual()) {
    const staying = view.staying(chunk);
    const lacking = view.lacking(chunk, staying);
    if (lacking === undefined) {
      const surplus = view.surplus(chunk, staying);
      for (const server of surplus.go) drops.add(server, chunk, count, 0);
      if (surplus.waits) stuck = true;
      for (const server of content.rebalance ? view.misplaced(chunk, staying) : []) {
        const bytes = content.layout.bytes(chunk);
        if (budget.take(server, bytes)) copies.add(server, chunk, count, bytes);
        else capped = true;
      }
      continue;
    }
    if (!view.hasSource(chunk)) {
      lost++;
      stuck = true;
      continue;
    }
    if (lacking.targets.length < lacking.wanted) stuck = true;
    for (const server of lacking.targets) {
      const bytes = content.layout.bytes(chunk);
      if (budget.take(server, bytes)) copies.add(server, chunk, count, bytes);
      else capped = true;
    }
  }
  const isBusy = !copies.isEmpty || !drops.isEmpty || content.orders.length > 0 || content.drops.length > 0;
  return {
    least: view.least,
    lost,
    copies: copies.list(),
    drops: drops.list(),
    state: capped ? 'capped' : isBusy ? 'busy' : stuck ? 'stuck' : 'good',
  };
}

/** Chunks chosen for servers. */
class Chosen {
  readonly #of = new Map<number, { readonly chunks: Uint8Array; bytes: number }>();

  get isEmpty(): boolean {
    return this.#of.size === 0;
  }

  add(server: number, chunk: number, count: number, bytes: number): void {
    let known = this.#of.get(server);
    if (known === undefined) {
      known = { chunks: new Uint8Array(Math.ceil(count / 8)), bytes: 0 };
      this.#of.set(server, known);
    }
    setBit(known.chunks, chunk);
    known.bytes += bytes;
  }

  list(): CopyOrder[] {
    return [...this.#of].map(([server, { chunks, bytes }]) => ({ server, chunks, bytes }));
  }
}

interface Held {
  readonly server: RepairServer;
  readonly chunks: Uint8Array;
}

/** A content's copies, sorted by what their servers are. */
class View {
  readonly #content: ContentCopies;
  readonly #staying: readonly Held[];
  readonly #leaving: readonly Held[];
  readonly #orders: readonly Held[];
  readonly #drops: readonly ServerChunks[];
  /** Whoever has something of it in any way: no server gets a second copy. */
  readonly #taken: readonly ServerChunks[];
  readonly #sources: readonly Uint8Array[];
  readonly #open: readonly RepairServer[];
  readonly #wanted: number;
  readonly #zones: number;
  /** Copies there are to be before one is let go: dead servers may come back, and are no reason to want fewer. */
  readonly #kept: number;
  readonly #copies: Uint8Array;
  #ranking: Placement<RepairServer> | undefined;

  constructor(content: ContentCopies, servers: ReadonlyMap<number, RepairServer>) {
    this.#content = content;
    const dropped = new Map(content.drops.map(({ server, chunks }) => [server, chunks]));
    const held: Held[] = [];
    for (const { server: number, chunks } of content.stored) {
      const server = servers.get(number);
      const gone = dropped.get(number);
      if (server !== undefined)
        held.push({ server, chunks: gone === undefined ? chunks : without(chunks, gone) });
    }
    const isStaying = ({ kind }: RepairServer): boolean => kind === 'open' || kind === 'closed';
    this.#staying = held.filter(({ server }) => isStaying(server));
    this.#leaving = held.filter(({ server }) => server.kind === 'leaving');
    this.#orders = content.orders.flatMap(({ server: number, chunks }) => {
      const server = servers.get(number);
      return server !== undefined && isStaying(server) ? [{ server, chunks }] : [];
    });
    this.#drops = content.drops;
    this.#taken = [...content.stored, ...content.inPlace, ...content.orders, ...content.drops];
    this.#sources = [
      ...[...this.#staying, ...this.#leaving].map(({ chunks }) => chunks),
      // What is in place is there as long as its server is, whether or not that has a chunk store.
      ...content.inPlace
        .filter(({ server }) => servers.get(server)?.kind !== 'gone')
        .map(({ chunks }) => chunks),
    ];
    const all = [...servers.values()];
    const staying = all.filter(isStaying);
    this.#open = all.filter(({ kind }) => kind === 'open');
    this.#wanted = Math.min(content.replicas, Math.max(1, staying.length));
    this.#zones = Math.min(content.zones, this.#wanted);
    this.#kept = Math.min(content.replicas, Math.max(1, all.filter(({ kind }) => kind !== 'leaving').length));
    this.#copies = countCopies(
      content.layout.count,
      this.#staying.map(({ chunks }) => chunks),
    );
  }

  get least(): number {
    return rangeOf(this.#copies).least;
  }

  /** Chunks that have not just the copies that are wanted: nearly always few, and found by arithmetic on whole bitmaps. */
  unusual(): number[] {
    const { count } = this.#content.layout;
    const zones = countCopies(count, this.#unions());
    const unusual: number[] = [];
    for (let chunk = 0; chunk < count; chunk++) {
      const isUsual =
        !this.#content.rebalance &&
        this.#copies[chunk] === this.#wanted &&
        (zones[chunk] ?? 0) >= this.#zones;
      if (!isUsual || this.#leaving.some(({ chunks }) => isSet(chunks, chunk))) unusual.push(chunk);
    }
    return unusual;
  }

  /** What each zone has. */
  #unions(): Uint8Array[] {
    const unions = new Map<string, Uint8Array>();
    for (const { server, chunks } of this.#staying) {
      const before = unions.get(server.zone);
      unions.set(
        server.zone,
        before === undefined ? chunks : before.map((byte, at) => byte | (chunks[at] ?? 0)),
      );
    }
    return [...unions.values()];
  }

  /** Servers whose copies of the chunk count. */
  staying(chunk: number): RepairServer[] {
    return this.#staying.filter(({ chunks }) => isSet(chunks, chunk)).map(({ server }) => server);
  }

  hasSource(chunk: number): boolean {
    return this.#sources.some((chunks) => isSet(chunks, chunk));
  }

  /** Where copies of the chunk are to be made, and how many are wanted; undefined: none, or they are under way. */
  lacking(
    chunk: number,
    staying: readonly RepairServer[],
  ): { readonly wanted: number; readonly targets: readonly number[] } | undefined {
    const coming = this.#orders.filter(({ chunks }) => isSet(chunks, chunk)).map(({ server }) => server);
    const zones = new Set([...staying, ...coming].map(({ zone }) => zone));
    const copies = Math.max(0, this.#wanted - staying.length - coming.length);
    const isSpread = zones.size >= this.#zones;
    if (copies === 0 && isSpread) return undefined;
    const others = this.#open.filter(({ zone }) => !zones.has(zone));
    // Zones without a server that takes some are waited for in silence.
    if (copies === 0 && others.length === 0) return undefined;
    const free = this.#ranked(chunk);
    const targets: RepairServer[] = [];
    for (const server of free) {
      if (zones.size >= this.#zones) break;
      if (zones.has(server.zone)) continue;
      zones.add(server.zone);
      targets.push(server);
    }
    for (const server of free) {
      if (targets.length >= copies) break;
      if (!targets.includes(server)) targets.push(server);
    }
    if (targets.length === 0 && copies === 0) return undefined;
    return { wanted: copies, targets: targets.map(({ number }) => number) };
  }

  /** Which servers can let the chunk go; `waits`: more could when others run again. */
  surplus(
    chunk: number,
    staying: readonly RepairServer[],
  ): { readonly go: readonly number[]; readonly waits: boolean } {
    const leaving = this.#leaving.filter(({ chunks }) => isSet(chunks, chunk)).map(({ server }) => server);
    const isTooMany = staying.length > this.#content.replicas;
    if (leaving.length === 0 && !isTooMany) return { go: [], waits: false };
    const running = staying.filter(({ runs }) => runs);
    const go: number[] = [];
    const isSafe = running.length >= this.#kept;
    if (isSafe) go.push(...leaving.map(({ number }) => number));
    if (running.length > this.#content.replicas && !this.#orders.some(({ chunks }) => isSet(chunks, chunk))) {
      const digest = this.#content.digest(chunk);
      const kept = new Placement(running, this.#content.zones).of(digest).slice(0, this.#content.replicas);
      // A server without weight is in no placement, and goes last.
      if (kept.length === this.#content.replicas) {
        go.push(...running.filter((server) => !kept.includes(server)).map(({ number }) => number));
      }
    }
    return { go, waits: go.length === 0 };
  }

  /**
   * Where the chunk belongs and is not, of servers that take some. It is let go where it does not belong once it is there:
   * among those that have it then, these are the first.
   */
  misplaced(chunk: number, staying: readonly RepairServer[]): number[] {
    const isMoving = [...this.#orders, ...this.#drops].some(({ chunks }) => isSet(chunks, chunk));
    if (isMoving || staying.length !== this.#wanted || !staying.every(({ runs }) => runs)) return [];
    const others = this.#open.filter((server) => !staying.includes(server));
    const digest = this.#content.digest(chunk);
    const places = new Placement([...staying, ...others], this.#content.zones).of(digest);
    const taken = this.#takenOf(chunk);
    return places
      .slice(0, this.#wanted)
      .filter((server) => !staying.includes(server) && !taken.has(server.number))
      .map(({ number }) => number);
  }

  #takenOf(chunk: number): Set<number> {
    return new Set(this.#taken.filter(({ chunks }) => isSet(chunks, chunk)).map(({ server }) => server));
  }

  /** Servers that could take the chunk, the best first. */
  #ranked(chunk: number): RepairServer[] {
    this.#ranking ??= new Placement(this.#open, 1);
    const { avoid } = this.#content;
    const taken = this.#takenOf(chunk);
    const free = this.#ranking.of(this.#content.digest(chunk)).filter(({ number }) => !taken.has(number));
    return [
      ...free.filter(({ number }) => !avoid.has(number)),
      ...free.filter(({ number }) => avoid.has(number)),
    ];
  }
}
