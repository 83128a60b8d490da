import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

import { run } from './processes.ts';
import type { Machine } from './results.ts';
import { versionsOf, type Tool } from './tools.ts';

/** What of this machine bears on the figures; nothing that names it. */
export async function describeMachine(tools: readonly Tool[]): Promise<Machine> {
  const processors = cpus();
  return {
    cores: processors.length,
    processor: processors[0]?.model.trim() ?? 'unknown',
    memory: totalmem(),
    // Builders put names of their own behind the version.
    kernel: release().split('-')[0] ?? release(),
    system: /^PRETTY_NAME="?(.*?)"?$/m.exec(fileText('/etc/os-release'))?.[1] ?? process.platform,
    congestionControl: fileText('/proc/sys/net/ipv4/tcp_congestion_control').trim() || 'unknown',
    load: loadavg()[0] ?? Number.NaN,
    node: process.versions.node,
    programs: await versionsOf(tools),
  };
}

/** The commit of this checkout, with a "+" where tracked files differ from it; "unknown" outside a checkout. */
export async function describeCommit(root: string): Promise<string> {
  const head = await run(['git', '-C', root, 'rev-parse', '--short=10', 'HEAD'], { allowFailure: true });
  if (head.status !== 0) return 'unknown';
  const changes = await run(['git', '-C', root, 'status', '--porcelain', '--untracked-files=no'], {
    allowFailure: true,
  });
  return head.stdout.trim() + (changes.stdout.trim() === '' ? '' : '+');
}

function fileText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
