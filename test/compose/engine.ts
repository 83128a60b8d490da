import { spawnSync } from 'node:child_process';

/** Milliseconds that one call may take: the longest build an image or wait for services to be healthy. */
const PATIENCE = 600_000;

/** What is needed and not there. */
export class Missing extends Error {}

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A container engine with its compose: Docker with Compose v2, or podman with podman-compose. */
export interface Engine {
  readonly name: 'docker' | 'podman';
  /** Arguments after `docker` or `podman`. Throws when it fails, unless told otherwise. */
  run(args: readonly string[], options?: { readonly mayFail?: boolean }): Ran;
  compose(args: readonly string[], env: NodeJS.ProcessEnv, options?: { readonly mayFail?: boolean }): Ran;
  /** Builds an image from a Dockerfile. */
  build(tag: string, dockerfile: string, context: string): Ran;
}

/** @throws Missing */
export function findEngine(): Engine {
  const why: string[] = [];
  for (const [probe, engine] of [
    [['docker', 'compose', 'version'], docker],
    [['podman-compose', 'version'], podman],
  ] as const) {
    const [program, ...args] = probe;
    const { status, error } = spawnSync(program, args, { encoding: 'utf8' });
    if (status !== 0) {
      why.push(`"${probe.join(' ')}" ${error === undefined ? `ends with ${status}` : 'is not there'}`);
      continue;
    }
    const info = spawnSync(engine.name, ['info'], { encoding: 'utf8' });
    if (info.status === 0) return engine;
    why.push(`"${engine.name} info" fails: ${(info.stderr ?? '').trim().split('\n').at(-1) ?? ''}`);
  }
  const advice = 'it takes Docker with Compose v2, or podman with podman-compose, and the right to use them';
  throw new Missing(`${advice}; ${why.join('; ')}`);
}

const docker: Engine = {
  name: 'docker',
  run: (args, options) => call('docker', args, process.env, options),
  compose: (args, env, options) => call('docker', ['compose', ...args], env, options),
  build: (tag, dockerfile, context) =>
    call('docker', ['build', '-q', '-t', tag, '-f', dockerfile, context], process.env),
};

const podman: Engine = {
  name: 'podman',
  run: (args, options) => call('podman', args, process.env, options),
  compose: (args, env, options) => call('podman-compose', args, env, options),
  // Docker's format: the other one has no health checks. A change of root works where namespaces are not allowed.
  build: (tag, dockerfile, context) =>
    call(
      'podman',
      [
        'build',
        '-q',
        '--format',
        'docker',
        '--isolation',
        'chroot',
        '--layers=false',
        '-t',
        tag,
        '-f',
        dockerfile,
        context,
      ],
      process.env,
    ),
};

function call(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  { mayFail = false }: { readonly mayFail?: boolean } = {},
): Ran {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    env,
    encoding: 'utf8',
    timeout: PATIENCE,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error !== undefined) throw error;
  // podman-compose ends with 0 whatever its podman says, and writes what that is.
  const failed = status !== 0 || /^exit code: [1-9]/m.test(stdout);
  if (failed && !mayFail) {
    throw new Error(`${program} ${args.join(' ')} failed (${status}):\n${stdout}\n${stderr}`);
  }
  return { status: status ?? 1, stdout, stderr };
}
