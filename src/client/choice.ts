import { majority, type Group } from './agreement.ts';
import type { Members } from './members.ts';
import type { RollCall } from './roll-call.ts';

/** Milliseconds that the first answer waits for others, since one of them may bring a manifest. */
const GRACE = 100;

interface Options {
  readonly members: Members;
  readonly roll: Pick<RollCall, 'heardAll' | 'hopeful'>;
  /** The caller knows the file's digest: what sources say of it decides nothing. */
  readonly digestKnown: () => boolean;
  /** Sources that are not there, or not to be asked now, may be so later. */
  readonly mayCome: () => boolean;
  /** @throws what has ended the download */
  readonly throwIfOver: () => void;
}

/** Chooses which sources to download from, by who has answered and what they say. */
export class Choice {
  readonly #options: Options;
  #heard: (() => void) | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Something has become known of a source. */
  heard(): void {
    this.#heard?.();
  }

  /**
   * Waits for answers until there is a group to download from; undefined: none but a source that tells no size.
   *
   * @throws HeadwaterError when there can be none
   */
  async group(): Promise<Group | undefined> {
    const { members, roll, mayCome, throwIfOver } = this.#options;
    let since: number | undefined;
    for (;;) {
      throwIfOver();
      const [first] = members.groups;
      const { heardAll } = roll;
      if (first !== undefined) {
        since ??= performance.now();
        const chosen = heardAll || performance.now() - since > GRACE ? this.#agreed(first) : undefined;
        if (chosen !== undefined) return chosen;
      } else if (heardAll) {
        if (members.sizeless !== undefined) return undefined;
        if (!roll.hopeful && !mayCome()) throw members.nobodyLeft();
      }
      // Never a second grace because a timer came a moment early.
      const left =
        since === undefined || heardAll ? undefined : Math.ceil(since + GRACE - performance.now()) + 1;
      await this.news(left);
    }
  }

  /** The group that all or most are of, or the largest where the digest decides; undefined: others may tip it. */
  #agreed(first: Group): Group | undefined {
    const { members, roll, digestKnown } = this.#options;
    if (digestKnown()) return first;
    const { opinions } = members;
    if (opinions.length === 1) return first;
    const most = majority(opinions);
    if (most !== undefined) members.side(most);
    else if (roll.heardAll) throw members.disagreement(opinions);
    return most;
  }

  /** Resolves when something is heard of a source, or after `most` milliseconds. */
  news(most?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = most === undefined ? undefined : setTimeout(resolve, most);
      this.#heard = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
