import { HeadwaterError } from '../../core/errors.ts';

/** Addresses of a fleet's information servers, and which one is asked first. */
export class Addresses {
  readonly #given: readonly URL[];
  #all: URL[];

  /** @throws HeadwaterError `HW_USAGE` */
  constructor(given: readonly (string | URL)[]) {
    this.#given = given.map(fleetAddress);
    if (this.#given.length === 0) {
      throw new HeadwaterError('HW_USAGE', 'a fleet needs the address of an information server');
    }
    this.#all = unique(this.#given);
  }

  /** The one that answered last, then the others. */
  get inOrder(): readonly URL[] {
    return this.#all;
  }

  /** Is asked first from now on. */
  prefer(address: URL): void {
    this.#all = unique([address, ...this.#all]);
  }

  /**
   * Takes in what the fleet says of itself. The token goes to all of these, so an address is left out where it could
   * end up with somebody else: one without TLS of a fleet that was given with it, and one of this machine alone, which
   * would be another machine's here.
   */
  learn(told: readonly string[]): void {
    const secure = this.#given.every(({ protocol }) => protocol === 'https:');
    const local = this.#given.some(isLoopback);
    const fit = told
      .filter((text) => URL.canParse(text))
      .map((text) => new URL(text))
      .filter((url) => url.protocol === 'https:' || (url.protocol === 'http:' && !secure))
      .filter((url) => local || !isLoopback(url))
      .map(bare);
    const [first = bare(this.#given[0] as URL)] = this.#all;
    this.#all = unique([first, ...this.#given, ...fit]);
  }
}

/**
 * An address as a person types it: without a scheme it is `http:` on this machine and `https:` elsewhere.
 *
 * @throws HeadwaterError `HW_USAGE`
 */
export function fleetAddress(given: string | URL): URL {
  const text = String(given).trim();
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  const url = URL.parse(scheme ? text : `http://${text}`);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw new HeadwaterError(
      'HW_USAGE',
      `a fleet's address looks like https://fleet.example or http://127.0.0.1:8080; not "${text.replace(/\/\/[^/@]*@/, '//***@')}"`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new HeadwaterError(
      'HW_USAGE',
      "a fleet's address has no user or password in it: headwater login asks for them",
    );
  }
  if (!scheme && !isLoopback(url)) url.protocol = 'https:';
  return bare(url);
}

/** The path stays: a proxy may have the fleet below one. */
function bare(url: URL): URL {
  const made = new URL(url);
  made.search = '';
  made.hash = '';
  if (!made.pathname.endsWith('/')) made.pathname += '/';
  return made;
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}

function unique(urls: readonly URL[]): URL[] {
  return [...new Map(urls.map((url) => [url.href, url])).values()];
}
