import { BlockList, isIP } from 'node:net';

import { HeadwaterError } from '../core/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const SCHEMES = new Set(['http:', 'https:']);

/**
 * Which proxy leads to an origin, by the variables that most programs follow: `http_proxy`, `https_proxy`, `all_proxy` for both and
 * `no_proxy` for exceptions; each also in capitals, small letters first. A proxy without a scheme is an `http:` one.
 * `no_proxy` is a list, by commas or spaces, of names (a name stands for its subdomains too, with or without a dot
 * before it), addresses, networks (`10.0.0.0/8`), each also with `:port`, or `*` for everything.
 *
 * @returns a function that throws HeadwaterError `HW_USAGE` when the variable for an origin holds no URL of a proxy
 */
export function proxyFromEnvironment(environment: Environment): (url: URL) => URL | undefined {
  const isException = exceptions(variable(environment, 'no_proxy')?.value ?? '');
  return (url) => {
    const named =
      variable(environment, `${url.protocol.slice(0, -1)}_proxy`) ?? variable(environment, 'all_proxy');
    if (named === undefined || isException(url)) return undefined;
    return proxyUrl(named.name, named.value);
  };
}

interface Variable {
  readonly name: string;
  readonly value: string;
}

function variable(environment: Environment, name: string): Variable | undefined {
  for (const spelled of [name, name.toUpperCase()]) {
    const value = environment[spelled]?.trim();
    if (value !== undefined && value !== '') return { name: spelled, value };
  }
  return undefined;
}

/** The value may hold a password and stays out of messages. */
function proxyUrl(name: string, value: string): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.parse(text);
  if (url === null || !SCHEMES.has(url.protocol) || url.hostname === '') {
    throw new HeadwaterError(
      'HW_USAGE',
      `The environment variable ${name} does not hold the URL of a proxy that can be used here (http: or https:).`,
    );
  }
  return url;
}

function exceptions(list: string): (url: URL) => boolean {
  const matches = list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map(exception);
  return (url) => {
    const host = bare(url.hostname.toLowerCase());
    const port = url.port || (url.protocol === 'https:' ? '443' : '80');
    return matches.some((match) => match(host, port));
  };
}

type Match = (host: string, port: string) => boolean;

function exception(entry: string): Match {
  if (entry === '*') return () => true;
  const network = networkOf(entry);
  if (network !== undefined) return (host) => isIP(host) !== 0 && network.check(host, family(host));

  const [, name = entry, wantedPort] = /^(\[.*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
  const wanted = bare(name.toLowerCase().replace(/^\*?\./, ''));
  return (host, port) =>
    (wantedPort === undefined || wantedPort === port) && (host === wanted || host.endsWith(`.${wanted}`));
}

function networkOf(entry: string): BlockList | undefined {
  const [, address = '', bits = ''] = /^(.*)\/(\d+)$/.exec(entry) ?? [];
  const most = { 4: 32, 6: 128 }[isIP(bare(address))];
  if (most === undefined || Number(bits) > most) return undefined;
  const network = new BlockList();
  network.addSubnet(bare(address), Number(bits), family(bare(address)));
  return network;
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

/** Without the brackets that an IPv6 address has in a URL. */
function bare(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}
