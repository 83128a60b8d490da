import { execFileSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';

import { isAlive, run } from './processes.ts';

/** The labs' networks are 10.78.0.0/24, 10.78.1.0/24 and so on, one for each lab that runs. */
const NETWORK = '10.78';
/** What a host may send in one go at its rate. Small against a second of the slowest host. */
const BURST = '64kb';
/** How long a packet may wait in a host before it is dropped: the buffer of an ordinary router. */
const QUEUE = '50ms';
const NAMES = /^hw([bnv])(\d+)(?:-\d+)?$/;

/**
 * Hosts on this machine: network namespaces on one bridge, each sending at most at its own rate (the kernel's tbf;
 * no latency is added). All names carry the id of the process that made them ("hwb123" is a bridge, "hwn123-1" a
 * host, "hwv123-1" its cable), so several labs can run side by side and what a killed one leaves is removed by the next.
 *
 * Needs root and iproute2.
 */
export class Netlab implements AsyncDisposable {
  /** Rates in the words of tc, such as "200mbit"; host 1 has the first. */
  readonly rates: readonly string[];
  readonly #network: string;
  readonly #removeAtExit = (): void => removeSync(process.pid);

  private constructor(rates: readonly string[], network: string) {
    this.rates = rates;
    this.#network = network;
    process.on('exit', this.#removeAtExit);
  }

  static async up(rates: readonly string[]): Promise<Netlab> {
    for (const owner of await owners()) if (owner === process.pid || !isAlive(owner)) await remove(owner);
    const lab = new Netlab(rates, freeNetwork());
    try {
      await run(['ip', 'link', 'add', lab.#bridge, 'type', 'bridge']);
      await run(['ip', 'addr', 'add', `${lab.#network}.1/24`, 'dev', lab.#bridge]);
      await run(['ip', 'link', 'set', lab.#bridge, 'up']);
      for (let host = 1; host <= rates.length; host++) await lab.#add(host);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
    return lab;
  }

  get #bridge(): string {
    return `hwb${process.pid}`;
  }

  address(host: number): string {
    return `${this.#network}.${host + 10}`;
  }

  /** Put before a command to run it inside `host`. */
  within(host: number): string[] {
    return ['ip', 'netns', 'exec', namespaceOf(host)];
  }

  /** Pulls the cable: packets vanish, nobody is told. */
  async unplug(host: number): Promise<void> {
    await run(['ip', 'link', 'set', cableOf(host), 'down']);
  }

  /** Removes `host` with all that runs in it and all that its kernel still wants to send, and sets it up again. */
  async renew(host: number): Promise<void> {
    await removeHost(namespaceOf(host));
    await this.#add(host);
  }

  async #add(host: number): Promise<void> {
    const namespace = namespaceOf(host);
    const cable = cableOf(host);
    const rate = this.rates[host - 1];
    if (rate === undefined) throw new RangeError(`host ${host} of ${this.rates.length}`);
    // A hardware address of its own keeps what neighbours remember of a host right when it is renewed.
    const hardware = `02:78:${hex(process.pid >> 16)}:${hex(process.pid >> 8)}:${hex(process.pid)}:${hex(host)}`;
    await run(['ip', 'netns', 'add', namespace]);
    await run(
      `ip link add ${cable} type veth peer name eth0 address ${hardware} netns ${namespace}`.split(' '),
    );
    await run(['ip', 'link', 'set', cable, 'master', this.#bridge, 'up']);
    await run(['ip', '-n', namespace, 'addr', 'add', `${this.address(host)}/24`, 'dev', 'eth0']);
    await run(['ip', '-n', namespace, 'link', 'set', 'lo', 'up']);
    await run(['ip', '-n', namespace, 'link', 'set', 'eth0', 'up']);
    await run(
      `tc -n ${namespace} qdisc add dev eth0 root tbf rate ${rate} burst ${BURST} latency ${QUEUE}`.split(
        ' ',
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#removeAtExit);
    await remove(process.pid);
  }
}

function namespaceOf(host: number): string {
  return `hwn${process.pid}-${host}`;
}

function cableOf(host: number): string {
  return `hwv${process.pid}-${host}`;
}

function hex(byte: number): string {
  return (byte & 255).toString(16).padStart(2, '0');
}

function freeNetwork(): string {
  const taken = Object.values(networkInterfaces()).flatMap(
    (each) => each?.map(({ address }) => address) ?? [],
  );
  for (let third = 0; third < 256; third++) {
    const network = `${NETWORK}.${third}`;
    if (!taken.some((address) => address.startsWith(`${network}.`))) return network;
  }
  throw new Error(`no free network below ${NETWORK}.0.0/16`);
}

/** Everything on this machine that bears a lab's name. */
async function things(): Promise<{ readonly name: string; readonly owner: number; readonly kind: string }[]> {
  const links = await run(['ip', '-br', 'link']);
  const namespaces = await run(['ip', 'netns', 'list']);
  return `${links.stdout}\n${namespaces.stdout}`.split('\n').flatMap((line) => {
    const name = line.split(/[\s@]/)[0] ?? '';
    const [, kind, owner] = NAMES.exec(name) ?? [];
    return kind === undefined ? [] : [{ name, owner: Number(owner), kind }];
  });
}

async function owners(): Promise<Set<number>> {
  return new Set((await things()).map((each) => each.owner));
}

async function remove(owner: number): Promise<void> {
  const own = (await things()).filter((each) => each.owner === owner);
  for (const { name } of own.filter((each) => each.kind === 'n')) await removeHost(name);
  // Cables went with their hosts.
  for (const { name } of own.filter((each) => each.kind === 'b')) await run(['ip', 'link', 'del', name]);
}

/** With the namespace go its end of the cable and, with that, the other end. */
async function removeHost(namespace: string): Promise<void> {
  const { stdout } = await run(['ip', 'netns', 'pids', namespace], { allowFailure: true });
  for (const pid of stdout.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  // Taken away at once; the namespace itself may live until its last socket is gone.
  await run(['ip', '-n', namespace, 'link', 'del', 'eth0'], { allowFailure: true });
  await run(['ip', 'netns', 'del', namespace], { allowFailure: true });
}

/** The last resort, for a process that ends without having come to its own end. */
function removeSync(owner: number): void {
  const script = `for n in $(ip netns list | awk '/^hwn${owner}-/{print $1}'); do
    ip netns pids "$n" | xargs -r kill -9; ip -n "$n" link del eth0; ip netns del "$n"; done
    ip link del hwb${owner}`;
  try {
    execFileSync('sh', ['-c', script], { stdio: 'ignore', timeout: 10_000 });
  } catch {
    // Nothing was there.
  }
}
