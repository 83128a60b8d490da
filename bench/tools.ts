import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';

import { run } from './processes.ts';

/** Programs the benchmark runs, and the Debian package each comes in. */
const TOOLS = {
  nginx: { package: 'nginx-light', version: ['nginx', '-v'] },
  aria2c: { package: 'aria2', version: ['aria2c', '--version'] },
  lftp: { package: 'lftp', version: ['lftp', '--version'] },
  axel: { package: 'axel', version: ['axel', '--version'] },
  curl: { package: 'curl', version: ['curl', '--version'] },
  ip: { package: 'iproute2', version: ['ip', '-V'] },
  time: { package: 'time', version: ['/usr/bin/time', '--version'] },
} as const satisfies Record<string, { package: string; version: readonly string[] }>;

export type Tool = keyof typeof TOOLS;

/** Where Debian keeps programs that an ordinary person's PATH leaves out. */
const SYSTEM_PATHS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** Lets nginx and tc be found by a person who is not root. */
export function extendPath(): void {
  const path = (process.env['PATH'] ?? '').split(delimiter);
  process.env['PATH'] = [...new Set([...path, ...SYSTEM_PATHS])].join(delimiter);
}

/** The tools of `wanted` that this machine does not have. */
export function missingTools(wanted: Iterable<Tool>): Tool[] {
  return [...new Set(wanted)].filter((tool) => !isInstalled(tool));
}

function isInstalled(tool: Tool): boolean {
  // The shell's own "time" is not the program.
  if (tool === 'time') return existsSync('/usr/bin/time');
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => existsSync(join(folder, tool)));
}

export function packagesOf(tools: readonly Tool[]): string[] {
  return [...new Set(tools.map((tool) => TOOLS[tool].package))];
}

/** Whether this is root on a machine where apt-get installs. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
}

/** Installs Debian packages; a server among them is not started. */
export async function install(packages: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Debian asks this program whether a freshly installed service may start; 101 says no.
  const policy = '/usr/sbin/policy-rc.d';
  const own = !existsSync(policy);
  if (own) {
    await mkdir(dirname(policy), { recursive: true });
    await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  }
  try {
    await run(['apt-get', 'update', '-qq'], { env });
    await run(['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages], { env });
  } finally {
    if (own) await rm(policy, { force: true });
  }
}

/** What each of `tools` says it is, such as "1.36.0"; those that do not say are left out. */
export async function versionsOf(tools: readonly Tool[]): Promise<Record<string, string>> {
  const versions: Record<string, string> = {};
  for (const tool of tools) {
    const { stdout, stderr } = await run(TOOLS[tool].version, { allowFailure: true });
    const version = /\d+(\.\d+)+/.exec(`${stdout}\n${stderr}`)?.[0];
    if (version !== undefined) versions[tool] = version;
  }
  return versions;
}
