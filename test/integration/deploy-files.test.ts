import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { copyOf, deploy, rewrite, root, run, text, without } from './deploy/checked-by.ts';

/** Exposure by `systemd-analyze security`, times 10, that the units stay below: 0 is none, 100 is all. */
const MOST_EXPOSURE = 15;
const UNITS = ['headwater-information-server.service', 'headwater-file-server@.service'];

describe('the first secrets', { skip: without('openssl', 'version') }, () => {
  test('are all that compose.yaml names, fit each other, and stay when made again', () => {
    using copy = copyOf('.');
    const make = join(copy.path, 'first-secrets.sh');
    assert.equal(run(make, ['fleet.example', '192.0.2.7']).status, 0);
    const secret = (name: string): string => readFileSync(join(copy.path, 'secrets', name), 'utf8').trim();
    const named = [...text('compose.yaml').matchAll(/\{ file: \.\/secrets\/(\S+) \}/g)].map(
      ([, name = '']) => name,
    );
    assert.ok(named.length >= 8);
    const before = named.map(secret);
    // Containers run as other users; others on this machine are kept out by the folder.
    for (const name of named)
      assert.equal(statSync(join(copy.path, 'secrets', name)).mode & 0o777, 0o444, name);
    assert.equal(statSync(join(copy.path, 'secrets')).mode & 0o777, 0o700);

    assert.equal(new URL(secret('database-url')).password, secret('postgres-password'));
    assert.equal(secret('rabbitmq.conf').split('default_pass = ')[1], new URL(secret('broker-url')).password);
    const certificate = new X509Certificate(secret('tls-certificate.pem'));
    for (const host of ['localhost', 'fleet.example']) assert.ok(certificate.checkHost(host), host);
    assert.ok(certificate.checkIP('192.0.2.7'));

    assert.equal(run(make, []).status, 0);
    assert.deepEqual(named.map(secret), before);
  });

  test('are kept out of the repository and out of images', () => {
    for (const name of ['secrets/tls-key.pem', 'files/x', '.env']) {
      assert.equal(run('git', ['-C', root, 'check-ignore', '-q', `deploy/${name}`]).status, 0, name);
    }
    const let_in = readFileSync(join(root, '.dockerignore'), 'utf8').match(/^!.*$/gm) ?? [];
    assert.ok(
      !let_in.some((line) => /^!(deploy\/?|\*)$/.test(line)),
      'deploy/ with its secrets would be copied',
    );
  });
});

test('compose.yaml is what Compose takes', { skip: without('docker', 'compose', 'version') }, () => {
  using copy = copyOf('.');
  run(join(copy.path, 'first-secrets.sh'), []);
  const { status, said } = run('docker', ['compose', '-f', join(copy.path, 'compose.yaml'), 'config', '-q']);
  assert.equal(status, 0, said);
});

test('every file that the Dockerfile copies is there and is let in', () => {
  const lines = text('Dockerfile').match(/^COPY (?!--from).*$/gm) ?? [];
  const sources = lines.flatMap((line) => line.split(' ').slice(1, -1));
  const letIn = (readFileSync(join(root, '.dockerignore'), 'utf8').match(/^!.*$/gm) ?? []).map((line) =>
    line.slice(1),
  );
  for (const source of new Set(sources)) {
    assert.ok(existsSync(join(root, source)), source);
    assert.ok(letIn.includes(source), `${source} is kept out by .dockerignore`);
  }
});

describe('the health check of the image', () => {
  const check = async (url: string): Promise<{ status: number | null; said: string }> => {
    const child = spawn(process.execPath, [join(deploy, 'healthcheck.mjs'), url]);
    let said = '';
    child.stderr.on('data', (data: Buffer) => (said += data.toString()));
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, said };
  };

  for (const [answer, status] of [
    [200, 0],
    [503, 1],
  ] as const) {
    test(`ends with ${status} when the server answers ${answer}`, async () => {
      const server = createServer((_request, response) => response.writeHead(answer).end('so')).listen(
        0,
        '127.0.0.1',
      );
      await once(server, 'listening');
      try {
        const { port } = server.address() as AddressInfo;
        assert.equal((await check(`http://127.0.0.1:${port}/healthz`)).status, status);
      } finally {
        server.close();
      }
    });
  }

  test('ends with 1, and says why, when nobody listens', async () => {
    const { status, said } = await check('http://127.0.0.1:1/healthz');
    assert.equal(status, 1);
    assert.match(said, /ECONNREFUSED|bad port/);
  });
});

describe('the systemd units', { skip: without('systemd-analyze', '--version') }, () => {
  for (const unit of UNITS) {
    test(`${unit} has no mistakes, and is shut off well`, () => {
      using copy = copyOf('systemd');
      // An instance's unit, with a program that is there.
      const path = join(copy.path, unit.replace('@.', '@a1.'));
      rewrite(join(copy.path, unit), path, [['/opt/headwater/bin/headwater', join(root, 'bin/headwater')]]);
      const verified = run('systemd-analyze', ['verify', '--man=no', path]);
      assert.equal(verified.said, '');
      assert.equal(verified.status, 0);
      const args = ['security', '--offline=true', `--threshold=${MOST_EXPOSURE}`, '--no-pager', path];
      const { status, said } = run('systemd-analyze', args);
      assert.equal(status, 0, said.trim().split('\n').at(-1));
    });
  }
});

describe('Prometheus', { skip: without('promtool', '--version') }, () => {
  const folder = join(deploy, 'prometheus');
  test('takes the configuration and the rules', () => {
    const { status, said } = run('promtool', ['check', 'config', join(folder, 'prometheus.yml')]);
    assert.equal(status, 0, said);
  });

  test('raises the alarm when it should, and only then', () => {
    const { status, said } = run('promtool', ['test', 'rules', join(folder, 'headwater.rules.test.yml')]);
    assert.equal(status, 0, said);
  });
});

describe('the dashboard', () => {
  interface Panel {
    readonly id: number;
    readonly title: string;
    readonly type: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets?: readonly { readonly expr: string }[];
  }
  const { panels } = JSON.parse(text('grafana/headwater.json')) as { panels: readonly Panel[] };

  test('has panels with ids of their own, side by side', () => {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.equal(taken.get(`${x} ${y}`), undefined, `${title} lies on ${taken.get(`${x} ${y}`)}`);
          taken.set(`${x} ${y}`, title);
        }
      }
    }
  });

  test('asks something in every panel that is not a heading', () => {
    for (const { title, type, targets = [] } of panels)
      assert.equal(targets.length === 0, type === 'row', title);
  });
});
