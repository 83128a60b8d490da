import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { ChunkLayout, MIB } from '../../../../src/core/chunks.ts';
import { Placement } from '../../../../src/core/placement.ts';
import { Budget } from '../../../../src/information-server/repair/budget.ts';
import {
  allBits,
  countBits,
  isSet,
  setBit,
  without,
} from '../../../../src/information-server/repair/copy-counts.ts';
import { planContent, type Plan, type ServerChunks } from '../../../../src/information-server/repair/plan.ts';
import type { RepairServer } from '../../../../src/information-server/repair/repair-server.ts';

interface SimServer {
  readonly number: number;
  readonly id: string;
  readonly zone: string;
  readonly weight: number;
  state: 'running' | 'paused' | 'draining' | 'dead';
}

interface Order {
  readonly server: number;
  chunks: Uint8Array;
  /** Ticks until it is given up. */
  left: number;
}

interface SimContent {
  readonly layout: ChunkLayout;
  readonly replicas: number;
  zones: number;
  /** What is truly on the servers' disks. */
  readonly truth: Map<number, Uint8Array>;
  /** What they have told. */
  readonly told: Map<number, Uint8Array>;
  orders: Order[];
  drops: { readonly server: number; readonly chunks: Uint8Array }[];
}

interface Shape {
  readonly servers: number;
  readonly replicas: number;
  readonly zones: number;
  readonly contents: number;
  readonly pausing: boolean;
}

/** Bytes under way at a server, and in all. */
const CAPS = { perServer: 6 * MIB, inAll: 20 * MIB };

/** A fleet of which only the copies are there: everything about it follows from its seed. */
export class FleetSimulation {
  copied = 0;
  trimmed = 0;
  /** Copies are moved to where they belong. */
  rebalances = false;
  readonly #random: () => number;
  readonly #seed: number;
  readonly #shape: Shape;
  readonly #servers: SimServer[] = [];
  readonly #contents: SimContent[] = [];

  constructor(seed: number, shape?: Shape) {
    this.#seed = seed;
    this.#random = randomOf(seed);
    this.#shape = shape ?? {
      servers: 3 + this.#below(10),
      replicas: 1 + this.#below(4),
      zones: 1 + this.#below(3),
      contents: 1 + this.#below(5),
      pausing: true,
    };
    const { servers, replicas, zones, contents } = this.#shape;
    for (let index = 0; index < servers; index++) this.add(`zone-${index % zones}`);
    for (let index = 0; index < contents; index++) {
      const layout = new ChunkLayout((1 + this.#below(40)) * MIB - 3);
      const content: SimContent = {
        layout,
        replicas,
        zones,
        truth: new Map(),
        told: new Map(),
        orders: [],
        drops: [],
      };
      this.#contents.push(content);
      const places = new Placement(this.#servers, zones);
      for (let chunk = 0; chunk < layout.count; chunk++) {
        for (const { number } of places.of(this.#digest(content, chunk)).slice(0, replicas)) {
          put(content.truth, number, chunk, layout.count);
          put(content.told, number, chunk, layout.count);
        }
      }
    }
  }

  add(zone = `zone-${this.#below(3)}`): void {
    const number = this.#servers.length + 1;
    const id = `server-${this.#seed}-${number}`;
    this.#servers.push({ number, id, zone, weight: 1 + this.#below(4), state: 'running' });
  }

  /** One thing happens to it, or nothing. Never more are gone at once than the copies can bear. */
  disturb(): void {
    const dice = this.#random();
    const away = this.#servers.filter(({ state }) => state === 'dead');
    if (dice < 0.08 && away.length < this.#shape.replicas - 1) this.lose(1);
    else if (dice < 0.16) this.#regain(away);
    else if (dice < 0.2) this.drain();
    else if (dice < 0.24 && this.#servers.length < 16) this.add();
    else if (dice < 0.3 && this.#shape.pausing) {
      const server = this.#pick(this.#servers.filter(({ state }) => state === 'running'));
      if (server !== undefined) server.state = 'paused';
    } else if (dice < 0.4) {
      const server = this.#pick(this.#servers.filter(({ state }) => state === 'paused'));
      if (server !== undefined) server.state = 'running';
    } else if (dice < 0.43) this.#damage();
  }

  lose(servers: number): void {
    for (let index = 0; index < servers; index++) {
      const server = this.#pick(this.#servers.filter(({ state }) => state === 'running'));
      if (server !== undefined) server.state = 'dead';
    }
  }

  drain(): number {
    const running = this.#servers.filter(({ state }) => state === 'running');
    const server = this.#pick(running);
    if (server === undefined || running.length <= this.#shape.replicas) return 0;
    server.state = 'draining';
    return server.number;
  }

  wantZones(zones: number): void {
    for (const content of this.#contents) content.zones = zones;
  }

  /** Everyone is well again, but for who drains. */
  calm(): void {
    for (const server of this.#servers) if (server.state !== 'draining') server.state = 'running';
  }

  /** A look of the leader, then some work of the servers. */
  tick(): boolean {
    const servers = this.#view();
    const budget = new Budget(CAPS, this.#underWay());
    let active = false;
    for (const content of this.#contents) {
      this.#close(content);
      const plan = this.#plan(content, servers, budget);
      this.#checkPlan(content, plan);
      active ||= plan.state === 'busy' || plan.state === 'capped';
      for (const { server, chunks } of plan.copies) {
        assert.ok(!content.orders.some((order) => order.server === server && overlaps(order.chunks, chunks)));
        content.orders.push({ server, chunks, left: 8 });
      }
      for (const drop of plan.drops) content.drops.push(drop);
    }
    this.#checkCaps();
    for (const content of this.#contents) this.#work(content);
    return active;
  }

  settle(): void {
    for (let step = 0; step < 3_000; step++) if (!this.tick() && this.#isQuiet()) return;
    assert.fail(`seed ${this.#seed}: the fleet does not come to rest`);
  }

  checkHealed(): void {
    const staying = this.#servers.filter(({ state }) => state === 'running');
    const zonesThere = new Set(staying.map(({ zone }) => zone)).size;
    for (const content of this.#contents) {
      const wanted = Math.min(content.replicas, staying.length);
      for (let chunk = 0; chunk < content.layout.count; chunk++) {
        const holders = staying.filter(({ number }) => has(content.truth, number, chunk));
        assert.equal(
          holders.length,
          wanted,
          `seed ${this.#seed}: chunk ${chunk} has ${holders.length} copies`,
        );
        const zones = new Set(holders.map(({ zone }) => zone)).size;
        assert.ok(zones >= Math.min(content.zones, wanted, zonesThere), `seed ${this.#seed}: ${zones} zones`);
      }
      for (const { number, state } of this.#servers) {
        const left = countBits(content.truth.get(number) ?? new Uint8Array());
        if (state === 'draining')
          assert.equal(left, 0, `seed ${this.#seed}: a drained server has ${left} chunks`);
      }
    }
  }

  /** Every chunk is on the servers on which it would be, had they been there from the beginning. */
  checkPlaced(): void {
    const running = this.#servers.filter(({ state }) => state === 'running');
    for (const content of this.#contents) {
      const places = new Placement(running, content.zones);
      for (let chunk = 0; chunk < content.layout.count; chunk++) {
        const wanted = places.of(this.#digest(content, chunk)).slice(0, content.replicas);
        const holders = running.filter(({ number }) => has(content.truth, number, chunk));
        assert.deepEqual(
          new Set(holders),
          new Set(wanted),
          `seed ${this.#seed}: chunk ${chunk} is misplaced`,
        );
      }
    }
  }

  chunksOn(server: number): number {
    return this.#contents.reduce(
      (sum, { truth }) => sum + countBits(truth.get(server) ?? new Uint8Array()),
      0,
    );
  }

  #regain(away: readonly SimServer[]): void {
    const server = this.#pick(away);
    if (server === undefined) return;
    server.state = 'running';
    // What it told before was forgotten, or not: it tells all again.
    for (const content of this.#contents) this.#tell(content, server.number);
  }

  /** A chunk is found bad, where another copy is on a server that is there. */
  #damage(): void {
    const content = this.#pick(this.#contents);
    const server = this.#pick(this.#servers.filter(({ state }) => state === 'running'));
    if (content === undefined || server === undefined) return;
    const bits = content.truth.get(server.number);
    const chunk = this.#below(content.layout.count);
    const others = this.#servers.filter(
      ({ number, state }) =>
        number !== server.number && state === 'running' && has(content.truth, number, chunk),
    );
    if (bits === undefined || others.length < this.#shape.replicas) return;
    const one = new Uint8Array(bits.length);
    setBit(one, chunk);
    content.truth.set(server.number, without(bits, one));
    this.#tell(content, server.number);
  }

  #view(): Map<number, RepairServer> {
    const kinds = { running: 'open', paused: 'closed', draining: 'leaving', dead: 'gone' } as const;
    return new Map(
      this.#servers.map(({ number, id, zone, weight, state }) => [
        number,
        { number, id, zone, weight, kind: kinds[state], runs: state === 'running' },
      ]),
    );
  }

  #plan(content: SimContent, servers: ReadonlyMap<number, RepairServer>, budget: Budget): Plan {
    const list = (map: ReadonlyMap<number, Uint8Array>): ServerChunks[] =>
      [...map].map(([server, chunks]) => ({ server, chunks }));
    return planContent(
      {
        layout: content.layout,
        digest: (chunk) => this.#digest(content, chunk),
        replicas: content.replicas,
        zones: content.zones,
        stored: list(content.told),
        inPlace: [],
        orders: content.orders,
        drops: content.drops,
        avoid: new Set(),
        rebalance: this.rebalances,
      },
      servers,
      budget,
    );
  }

  #checkPlan(content: SimContent, { copies, drops }: Plan): void {
    const all = allBits(content.layout.count);
    for (const { server, chunks } of copies) {
      const state = this.#servers[server - 1]?.state;
      assert.equal(state, 'running', `seed ${this.#seed}: an order for a server that is ${state}`);
      const twice = overlaps(chunks, content.told.get(server) ?? new Uint8Array());
      assert.ok(!twice, `seed ${this.#seed}: a second copy on one server`);
    }
    for (const { server, chunks } of drops) {
      assert.ok(overlaps(all, chunks));
      for (let chunk = 0; chunk < content.layout.count; chunk++) {
        if (!isSet(chunks, chunk)) continue;
        const isGoing = (number: number): boolean =>
          [...content.drops, ...drops].some((drop) => drop.server === number && isSet(drop.chunks, chunk));
        const kept = this.#servers.filter(
          ({ number, state }) =>
            number !== server && state === 'running' && !isGoing(number) && has(content.truth, number, chunk),
        ).length;
        const there = this.#servers.filter(({ state }) => state !== 'draining').length;
        const least = Math.min(content.replicas, there);
        assert.ok(kept >= least, `seed ${this.#seed}: trimmed to ${kept} copies of ${least}`);
      }
    }
  }

  #checkCaps(): void {
    const under = this.#underWay();
    let sum = 0;
    for (const bytes of under.values()) {
      assert.ok(bytes <= CAPS.perServer, `seed ${this.#seed}: ${bytes} bytes under way at one server`);
      sum += bytes;
    }
    assert.ok(sum <= CAPS.inAll, `seed ${this.#seed}: ${sum} bytes under way`);
  }

  #underWay(): Map<number, number> {
    const under = new Map<number, number>();
    for (const { orders, layout } of this.#contents) {
      for (const { server, chunks } of orders) {
        let bytes = 0;
        for (let chunk = 0; chunk < layout.count; chunk++)
          if (isSet(chunks, chunk)) bytes += layout.bytes(chunk);
        under.set(server, (under.get(server) ?? 0) + bytes);
      }
    }
    return under;
  }

  /** What the leader sees of orders and drops in what was told. */
  #close(content: SimContent): void {
    for (const order of content.orders) {
      order.chunks = without(order.chunks, content.told.get(order.server) ?? new Uint8Array());
      order.left--;
    }
    content.orders = content.orders.filter(({ server, chunks, left }) => {
      const state = this.#servers[server - 1]?.state;
      return countBits(chunks) > 0 && left > 0 && state !== 'dead' && state !== 'draining';
    });
    content.drops = content.drops.flatMap(({ server, chunks }) => {
      const told = content.told.get(server) ?? new Uint8Array();
      const left = chunks.map((byte, at) => byte & (told[at] ?? 0));
      return countBits(left) > 0 ? [{ server, chunks: left }] : [];
    });
  }

  /** Servers do some of what they were told to, in any order, and tell of it. */
  #work(content: SimContent): void {
    for (const { server, chunks } of content.orders) {
      if (this.#servers[server - 1]?.state !== 'running' || this.#random() < 0.3) continue;
      for (let chunk = 0; chunk < content.layout.count; chunk++) {
        if (!isSet(chunks, chunk) || this.#random() < 0.3) continue;
        const isThere = this.#servers.some(
          ({ number, state }) =>
            (state === 'running' || state === 'draining') && has(content.truth, number, chunk),
        );
        if (!isThere) continue;
        put(content.truth, server, chunk, content.layout.count);
        this.copied++;
      }
      this.#tell(content, server);
    }
    for (const { server, chunks } of content.drops) {
      const state = this.#servers[server - 1]?.state;
      if (state === 'dead' || this.#random() < 0.4) continue;
      this.trimmed += countBits(chunks);
      content.truth.set(server, without(content.truth.get(server) ?? new Uint8Array(), chunks));
      this.#tell(content, server);
    }
  }

  #tell(content: SimContent, server: number): void {
    const bits = content.truth.get(server);
    if (bits !== undefined) content.told.set(server, bits.slice());
  }

  #isQuiet(): boolean {
    return this.#contents.every(({ orders, drops }) => orders.length === 0 && drops.length === 0);
  }

  #digest(content: SimContent, chunk: number): string {
    const index = this.#contents.indexOf(content);
    return createHash('sha256').update(`${this.#seed} ${index} ${chunk}`).digest('hex');
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#below(list.length)];
  }
}

/** mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

function put(map: Map<number, Uint8Array>, server: number, chunk: number, count: number): void {
  let bits = map.get(server);
  if (bits === undefined) map.set(server, (bits = new Uint8Array(Math.ceil(count / 8))));
  setBit(bits, chunk);
}

function has(map: ReadonlyMap<number, Uint8Array>, server: number, chunk: number): boolean {
  const bits = map.get(server);
  return bits !== undefined && isSet(bits, chunk);
}

function overlaps(one: Uint8Array, other: Uint8Array): boolean {
  return one.some((byte, at) => (byte & (other[at] ?? 0)) !== 0);
}
