import { bitmapOf, type Trouble } from './fleet.ts';
import type { Fetcher } from './fetcher.ts';
import type { Scene } from './scene.ts';
import type { SimulatedSource } from './source.ts';

/** How often, on average, a rate wavers, milliseconds. */
const WAVER_MS = 300;

/** Makes happen what the script of a fleet says: sources that join, change, fail and come back, and holds. */
export class Weather {
  readonly #scene: Scene;
  readonly #fetcher: Fetcher;
  #over = false;

  constructor(scene: Scene, fetcher: Fetcher) {
    this.#scene = scene;
    this.#fetcher = fetcher;
    const { agenda, fleet } = scene;
    for (const source of scene.sources.values()) this.#schedule(source);
    for (const { at, lasts } of fleet.holds) {
      agenda.add(at, () => this.#hold(true));
      agenda.add(at + lasts, () => this.#hold(false));
    }
    if (fleet.rests !== undefined) this.#rest(fleet.rests.reads, fleet.rests.rests);
  }

  /** Nothing that goes on for ever goes on. */
  stop(): void {
    this.#over = true;
  }

  #schedule(source: SimulatedSource): void {
    const { agenda, scheduler } = this.#scene;
    const { script, id } = source;
    agenda.add(script.joinsAt, () => {
      source.joined = true;
      this.#scene.note(() => `joins ${id}`);
      scheduler.addSource(id, this.#scene.now, script.part === undefined ? undefined : source.holding);
      if (source.withdrawn) scheduler.withdraw(id, source.in('gone'), this.#scene.now);
      this.#scene.asked = true;
    });
    for (const { at, rate } of script.rate.slice(1)) {
      agenda.add(at, () => {
        source.setRate(rate);
        this.#scene.flowChanged = true;
      });
    }
    for (const { at, share } of script.grows) {
      agenda.add(Math.max(at, script.joinsAt), () => this.#grow(source, share));
    }
    for (const trouble of script.troubles) {
      agenda.add(trouble.at, () => this.#begin(source, trouble));
      if (trouble.kind === 'resets' || trouble.kind === 'found-out') continue;
      agenda.add(trouble.at + trouble.lasts, () => {
        this.#scene.note(() => `source ${id} is over ${trouble.kind}`);
        source.end(trouble);
        this.#fetcher.wake(source);
        this.#recall(source, trouble);
      });
    }
    if (script.jitter > 0) this.#waver(source);
  }

  #waver(source: SimulatedSource): void {
    const { agenda, now, random } = this.#scene;
    agenda.add(now + WAVER_MS * (0.5 + random()), () => {
      if (this.#over) return;
      source.waver(random());
      this.#scene.flowChanged = true;
      this.#waver(source);
    });
  }

  #grow(source: SimulatedSource, share: number): void {
    const { book, scheduler, now } = this.#scene;
    const seed = source.script.part?.seed ?? 0;
    const grown = bitmapOf(book.layout.count, { seed, share });
    if (grown.count <= source.holding.count) return;
    source.holding = grown;
    this.#scene.holdingsChanged();
    scheduler.setHas(source.id, grown, now);
    this.#scene.asked = true;
  }

  #begin(source: SimulatedSource, trouble: Trouble): void {
    const { scheduler, now } = this.#scene;
    this.#scene.note(() => `source ${source.id} ${trouble.kind}`);
    if (trouble.kind === 'found-out') {
      if (source.joined) scheduler.ban(source.id, trouble.fault ?? 'disagrees', now);
      this.#scene.asked = true;
      return;
    }
    if (trouble.kind !== 'resets') source.begin(trouble);
    this.#scene.flowChanged = true;
    if (trouble.kind === 'withdrawn' || trouble.kind === 'gone') {
      if (source.joined) scheduler.withdraw(source.id, trouble.kind === 'gone', now);
      this.#scene.asked = true;
      return;
    }
    if (trouble.kind !== 'refuses' && trouble.kind !== 'resets') return;
    source.open.clear();
    for (const lane of source.lanes) this.#fetcher.fail(lane, { kind: 'connect' });
  }

  /** Who is banned stays so: what for is the scheduler's matter. */
  #recall(source: SimulatedSource, { kind }: Trouble): void {
    const { scheduler, referee, now } = this.#scene;
    if ((kind !== 'withdrawn' && kind !== 'gone') || !source.joined || source.withdrawn) return;
    referee.recalled(source.id);
    if (!referee.isBanned(source.id)) scheduler.recall(source.id, now);
    this.#scene.asked = true;
  }

  #hold(held: boolean): void {
    this.#scene.note(() => (held ? 'holds' : 'reads again'));
    this.#fetcher.hold(held);
  }

  /** As a limit on the rate does it: reads for a while, rests for a while, over and over. */
  #rest(reads: number, rests: number): void {
    const { agenda, now } = this.#scene;
    agenda.add(now + reads, () => {
      if (this.#over) return;
      this.#fetcher.hold(true);
      agenda.add(this.#scene.now + rests, () => {
        this.#fetcher.hold(false);
        this.#rest(reads, rests);
      });
    });
  }
}
