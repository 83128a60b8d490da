import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';

import { MIB } from '../../../src/core/chunks.ts';
import { HONEST, type Misbehaviour, type Script } from '../fault-server.ts';
import { bans, became, failure, Lab, of, slow, until } from './lab.ts';
import { ServerProcess } from './server-process.ts';

const SEED = 1;

/** The first answer is as it should be. */
function afterProbe(misbehaviour: Misbehaviour): Script {
  return ({ range }) => (range?.to === 1 ? HONEST : misbehaviour);
}

/** Why there are none; false when there are. */
function withoutNamespaces(): string | false {
  if (process.getuid?.() !== 0) return 'needs root for network namespaces';
  const made = spawnSync('ip', ['netns', 'list']);
  return made.status === 0 ? false : 'needs iproute2 and leave to make network namespaces';
}

/** A host of its own on a cable of its own. */
class Host implements Disposable {
  readonly address = '10.79.0.2';
  readonly #name = `hwt${process.pid}`;

  static up(): Host {
    const host = new Host();
    try {
      const name = host.#name;
      ip('netns', 'add', name);
      ip('link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`, 'netns', name);
      ip('addr', 'add', '10.79.0.1/24', 'dev', `${name}a`);
      ip('link', 'set', `${name}a`, 'up');
      ip('-n', name, 'addr', 'add', `${host.address}/24`, 'dev', `${name}b`);
      ip('-n', name, 'link', 'set', `${name}b`, 'up');
      return host;
    } catch (error) {
      host[Symbol.dispose]();
      throw error;
    }
  }

  get within(): readonly string[] {
    return ['ip', 'netns', 'exec', this.#name];
  }

  /** No packet comes through, in either direction, and nobody is told. */
  pullCable(): void {
    ip('-n', this.#name, 'link', 'set', `${this.#name}b`, 'down');
  }

  [Symbol.dispose](): void {
    spawnSync('ip', ['link', 'del', `${this.#name}a`]);
    spawnSync('ip', ['netns', 'del', this.#name]);
  }
}

function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}

// Most of them wait: side by side they take a third of the time.
describe('silence', { concurrency: true }, () => {
  describe('a server that falls silent', { concurrency: 16 }, () => {
    test('since its process was stopped: the others take over in seconds', async () => {
      const size = 12 * MIB;
      await using stopped = await ServerProcess.start({ seed: SEED, size, bytesPerSecond: 3 * MIB });
      await using lab = await Lab.of([slow(3 * MIB)], { size, seed: SEED });
      lab.on(
        (event) => event.event === 'progress' && event.bytes > 3 * MIB,
        () => stopped.stop(),
      );
      const report = await lab.get({ sha256: lab.sha256, interval: 0.05 }, [stopped.url, ...lab.urls]);
      lab.hasTheFile();
      assert.ok(lab.saidOf(1).some(became(1, 'waiting', 'HW_SILENT')));
      assert.deepEqual(bans(report), {});
      assert.ok(of(report, 1).bytes > 0);
      assert.ok(of(report, 1).failures > 0);
      assert.ok(report.seconds < 8, `${report.seconds} s`);
    });

    test('since its process was stopped, and it is alone: it goes on when that goes on', async () => {
      const size = 6 * MIB;
      await using stopped = await ServerProcess.start({ seed: SEED, size, bytesPerSecond: 3 * MIB });
      await using lab = await Lab.of([], { size, seed: SEED });
      lab.on(
        (event) => event.event === 'progress' && event.bytes > 2 * MIB,
        () => stopped.stop(),
      );
      lab.on(became(1, 'waiting', 'HW_SILENT'), () => stopped.goOn());
      const report = await lab.get({ sha256: lab.sha256, interval: 0.05 }, [stopped.url]);
      lab.hasTheFile();
      assert.ok(lab.saidOf(1).filter(became(1, 'running')).length >= 2);
      assert.ok(report.wastedBytes <= 2 * MIB);
    });

    test(
      'since its cable was pulled: the others take over in seconds',
      { skip: withoutNamespaces() },
      async () => {
        const size = 12 * MIB;
        using host = Host.up();
        await using stopped = await ServerProcess.start(
          { seed: SEED, size, bytesPerSecond: 3 * MIB, address: host.address },
          host.within,
        );
        await using lab = await Lab.of([slow(3 * MIB)], { size, seed: SEED });
        lab.on(
          (event) => event.event === 'progress' && event.bytes > 3 * MIB,
          () => host.pullCable(),
        );
        const report = await lab.get({ sha256: lab.sha256, interval: 0.05 }, [stopped.url, ...lab.urls]);
        lab.hasTheFile();
        assert.ok(lab.saidOf(1).some(became(1, 'waiting')));
        assert.ok(of(report, 1).bytes > 0);
        assert.ok(report.seconds < 8, `${report.seconds} s`);
      },
    );

    test('when a download goes on with no digest: the others tell that it is the same file', async () => {
      await using lab = await Lab.of([slow(4 * MIB), slow(4 * MIB)], { size: 12 * MIB });
      const stop = new AbortController();
      // Of four and more, two at the most are in parts of chunks, and one is being written.
      lab.on(
        (event) => event.event === 'progress' && event.bytes > 4 * MIB,
        () => stop.abort(),
      );
      await failure(lab.get({ interval: 0.05, signal: stop.signal }));
      lab.server(1).behave(afterProbe({ does: 'fall silent' }));
      const report = await lab.get();
      lab.hasTheFile();
      assert.ok(report.resumedBytes >= MIB);
      assert.ok(report.seconds < 10, `${report.seconds} s`);
    });

    test('before it says a word: the download begins and ends without it', async () => {
      await using lab = await Lab.of([{ does: 'fall silent' }, HONEST]);
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.ok(report.seconds < 3, `${report.seconds} s`);
      assert.deepEqual(lab.saidOf(1), []);
    });

    test('a head that drips is not waited for', async () => {
      await using lab = await Lab.of([{ does: 'drip the head', every: 50 }, HONEST]);
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.ok(report.seconds < 3, `${report.seconds} s`);
    });

    test('a head that drips once it is relied on holds up one span for seconds', async () => {
      await using lab = await Lab.of([slow(4 * MIB), afterProbe({ does: 'drip the head', every: 400 })]);
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.equal(of(report, 2).bytes, 0);
      assert.ok(report.seconds < 8, `${report.seconds} s`);
    });

    test('in the middle of a body: what it owes is fetched from the other', async () => {
      await using lab = await Lab.of([slow(4 * MIB), afterProbe({ does: 'fall silent', after: 200_000 })]);
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.equal(of(report, 2).bytes, 0);
      assert.ok(report.seconds < 6, `${report.seconds} s`);
    });
  });

  describe('when nobody sends anything', { concurrency: 16 }, () => {
    test('it waits, says so, and goes on by itself when one is back', async () => {
      await using lab = await Lab.of([slow(2 * MIB), slow(2 * MIB)]);
      lab.on(
        (event) => event.event === 'progress' && event.bytes > MIB,
        () => void Promise.all(lab.servers.map((server) => server.leave())),
      );
      lab.on(
        (event) => event.event === 'notice' && event.code === 'HW_SOURCES_LOST',
        () => void lab.server(2).comeBack(),
      );
      const report = await lab.get({ sha256: lab.sha256, interval: 0.05 });
      lab.hasTheFile();
      assert.match(lab.notices.join('\n'), /no source can be reached now; waiting until one answers/);
      assert.ok(of(report, 2).bytes > of(report, 1).bytes);
      assert.ok(of(report, 1).failures > 0 && of(report, 2).failures > 0);
    });

    test('before the first byte, it gives up when the time allowed is over', async () => {
      await using lab = await Lab.of([{ does: 'reset at once' }, { does: 'refuse', status: 503 }]);
      const began = performance.now();
      const error = await failure(lab.get({ timeout: 1 }));
      const seconds = (performance.now() - began) / 1000;
      assert.equal(error.code, 'HW_SOURCES_LOST');
      for (const { port } of lab.servers) assert.ok(error.message.includes(String(port)));
      assert.ok(seconds >= 1 && seconds < 3, `${seconds} s`);
      assert.deepEqual(lab.left, []);
    });

    test('after the first byte, it gives up when the time allowed is over, and keeps what came', async () => {
      await using lab = await Lab.of([slow(2 * MIB)]);
      lab.on(
        (event) => event.event === 'progress' && event.bytes > 2.5 * MIB,
        () => void lab.server(1).leave(),
      );
      const error = await failure(lab.get({ timeout: 1, interval: 0.05 }));
      assert.equal(error.code, 'HW_SOURCES_LOST');
      assert.deepEqual(lab.left, ['out.bin.hw-journal', 'out.bin.hw-part']);

      await lab.server(1).comeBack();
      const report = await lab.get();
      lab.hasTheFile();
      assert.ok(report.resumedBytes >= 2 * MIB);
      assert.equal(report.resumedBytes + of(report, 1).bytes, lab.size);
    });

    test('a timeout counts silence, not time', async () => {
      await using lab = await Lab.of([slow(MIB)], { size: 2 * MIB });
      const report = await lab.get({ timeout: 1 });
      lab.hasTheFile();
      assert.ok(report.seconds > 1.5);
    });

    test('a source that is not there yet is waited for, and joins', async () => {
      await using lab = await Lab.of([slow(2 * MIB), HONEST], { size: 6 * MIB });
      await lab.server(2).leave();
      lab.on(became(2, 'waiting', 'HW_CONNECT'), () => void lab.server(2).comeBack());
      const report = await lab.get({ sha256: lab.sha256 });
      lab.hasTheFile();
      assert.ok(of(report, 2).bytes > 0);
    });

    test('with a timeout of never, a download waits for servers that are not up yet', async () => {
      await using lab = await Lab.of([HONEST]);
      await lab.server(1).leave();
      const refused = lab.event(
        (event) => event.event === 'notice' && /waiting until one answers/.test(event.message),
      );
      const download = lab.get({ timeout: Infinity });
      await refused;
      await lab.server(1).comeBack();
      await download;
      lab.hasTheFile();
    });

    test('it can be stopped while it waits', async () => {
      await using lab = await Lab.of([{ does: 'refuse', status: 503, retryAfter: 60 }]);
      const stop = new AbortController();
      lab.on(became(1, 'waiting'), () => stop.abort());
      const error = await failure(lab.get({ signal: stop.signal }));
      assert.equal(error.code, 'HW_INTERRUPTED');
      assert.deepEqual(lab.left, []);
    });

    test('a server is not asked before its Retry-After is over', async () => {
      let at = 0;
      const busy: Script = ({ number }) => {
        if (number === 1) at = performance.now();
        return number === 1 ? { does: 'refuse', status: 503, retryAfter: 1 } : HONEST;
      };
      await using lab = await Lab.of([busy]);
      lab.on(became(1, 'running'), () => {
        at = performance.now() - at;
      });
      await lab.get();
      lab.hasTheFile();
      assert.ok(at >= 1000 && at < 2500, `${at} ms`);
      await until(() => lab.saidOf(1).some(({ retryIn = 0 }) => retryIn >= 1), 'it was said when');
    });
  });
});
