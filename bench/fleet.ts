import { Netlab } from './netlab.ts';
import { Nginx } from './nginx.ts';
import { run } from './processes.ts';
import type { Workspace } from './workspace.ts';

const PORT = 80;

/** An nginx in each host of a lab, all serving the workspace's folder "served". */
export class Fleet implements AsyncDisposable {
  readonly #workspace: Workspace;
  readonly #lab: Netlab;
  readonly #limitRate: string | undefined;
  readonly #servers = new Map<number, Nginx>();
  /** Hosts that something was done to since they were set up. */
  readonly #broken = new Set<number>();

  private constructor(workspace: Workspace, lab: Netlab, limitRate: string | undefined) {
    this.#workspace = workspace;
    this.#lab = lab;
    this.#limitRate = limitRate;
  }

  /**
   * @param rates what each host may send, in the words of tc.
   * @param limitRate what nginx sends at most on one connection, in its own words.
   */
  static async start(workspace: Workspace, rates: readonly string[], limitRate?: string): Promise<Fleet> {
    const fleet = new Fleet(workspace, await Netlab.up(rates), limitRate);
    try {
      for (let host = 1; host <= rates.length; host++) await fleet.#serve(host);
    } catch (error) {
      await fleet[Symbol.asyncDispose]();
      throw error;
    }
    return fleet;
  }

  urls(name: string): string[] {
    return this.#lab.rates.map((_, index) => `http://${this.#lab.address(index + 1)}:${PORT}/${name}`);
  }

  /** Kills the server; the host's kernel lives and closes its connections. */
  async kill(host: number): Promise<void> {
    this.#broken.add(host);
    await this.#servers.get(host)?.kill();
  }

  async unplug(host: number): Promise<void> {
    this.#broken.add(host);
    await this.#lab.unplug(host);
  }

  /** Sets up again, from nothing, each host that was killed or unplugged. */
  async mend(): Promise<void> {
    for (const host of this.#broken) {
      await this.#servers.get(host)?.kill();
      await this.#lab.renew(host);
      await this.#serve(host);
    }
    this.#broken.clear();
  }

  /**
   * What curl gets from each host, one host after another, over `seconds` at the host's rate: bytes a second. The
   * better of two attempts, so that a disturbance does not make the hosts look slower than they are.
   */
  async goodputs(name: string, seconds: number): Promise<number[]> {
    const goodputs: number[] = [];
    for (const [index, url] of this.urls(name).entries()) {
      const last = Math.round(bytesASecond(this.#lab.rates[index] ?? '') * seconds) - 1;
      goodputs.push(Math.max(await goodput(url, last), await goodput(url, last)));
    }
    return goodputs;
  }

  async #serve(host: number): Promise<void> {
    const server = await Nginx.start(this.#workspace, {
      root: this.#workspace.at('served'),
      address: this.#lab.address(host),
      ports: [PORT],
      within: this.#lab.within(host),
      ...(this.#limitRate === undefined ? {} : { limitRate: this.#limitRate }),
    });
    this.#servers.set(host, server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.values()) await server.kill();
    await this.#lab[Symbol.asyncDispose]();
  }
}

async function goodput(url: string, last: number): Promise<number> {
  const { stdout } = await run(
    ['curl', '-q', '-s', '-f', '-o', '/dev/null', '-r', `0-${last}`, '-w', '%{speed_download}', url],
    { env: { PATH: process.env['PATH'] } },
  );
  return Number(stdout);
}

/** Bytes a second of a rate in megabits. */
function bytesASecond(rate: string): number {
  return (Number.parseFloat(rate) * 1e6) / 8;
}
