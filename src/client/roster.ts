import type { Bitmap } from '../core/bitmap.ts';
import { givenSources, type GivenSource } from './given-sources.ts';
import type { SourceFeed } from './live-sources.ts';
import type { Member } from './members.ts';
import type { Settings } from './options.ts';

interface Listener {
  /** A source that was in no list before. */
  joined(given: GivenSource): Member;
  /** Not to be asked now; `gone`: what it sends is not wanted either. */
  withdrawn(member: Member, message: string, gone: boolean): void;
  /** It may be asked, for the first time or again. */
  here(member: Member): void;
  /** There is another source in its place for good. */
  replaced(member: Member): void;
  /** What it holds is another part now. */
  holding(member: Member, has: Bitmap | undefined): void;
  /** Nothing will change any more. @param error why, if something broke */
  ended(error: unknown): void;
}

/** Keeps the sources of a download as the newest list of its feed says. */
export class Roster {
  readonly #settings: Settings;
  readonly #listener: Listener;
  readonly #members = new Map<string, Member>();
  #alive: boolean;

  constructor(settings: Settings, listener: Listener) {
    this.#settings = settings;
    this.#listener = listener;
    this.#alive = settings.feed !== undefined;
  }

  /** Sources may still come, come back and change. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Takes the sources that are there at first, then follows the feed, if there is one, until the signal fires. */
  begin(signal: AbortSignal): void {
    this.#take(this.#settings.sources);
    const { feed } = this.#settings;
    if (feed === undefined) return;
    this.#follow(feed, signal).then(
      () => this.#end(signal, undefined),
      (error: unknown) => this.#end(signal, error),
    );
  }

  async #follow(feed: SourceFeed, signal: AbortSignal): Promise<void> {
    for await (const list of feed(signal)) {
      if (signal.aborted) return;
      this.#take(givenSources(list, this.#settings));
    }
  }

  #end(signal: AbortSignal, error: unknown): void {
    if (signal.aborted) return;
    this.#alive = false;
    this.#listener.ended(error);
  }

  #take(list: readonly GivenSource[]): void {
    const listed = new Set(list.map(({ key }) => key));
    for (const [key, member] of this.#members) if (!listed.has(key)) this.#miss(member);
    for (const given of list) {
      const known = this.#members.get(given.key);
      if (known?.given.url.href === given.url.href) this.#update(known, given);
      else {
        this.#join(given);
        if (known !== undefined) this.#listener.replaced(known);
      }
    }
  }

  #join(given: GivenSource): void {
    const member = this.#listener.joined(given);
    this.#members.set(given.key, member);
    if (given.paused === undefined) this.#listener.here(member);
    else this.#listener.withdrawn(member, given.paused, false);
  }

  #update(member: Member, given: GivenSource): void {
    const before = member.given;
    member.given = given;
    if (!sameChunks(before.has, given.has)) this.#listener.holding(member, given.has);
    if (given.paused === undefined) {
      if (member.away !== undefined) this.#listener.here(member);
    } else if (member.away === undefined || member.away.gone || given.paused !== before.paused) {
      this.#listener.withdrawn(member, given.paused, false);
    }
  }

  #miss(member: Member): void {
    if (member.away?.gone === true) return;
    const { given, source } = member;
    this.#listener.withdrawn(member, `${given.name ?? source.shown} is gone`, true);
  }
}

function sameChunks(one: Bitmap | undefined, other: Bitmap | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.bytes.every((byte, at) => byte === other.bytes[at]);
}
