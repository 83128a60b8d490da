import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
export const deploy = join(root, 'deploy');

/** Why a test that needs this program is skipped; false where it is there. */
export function without(program: string, ...args: readonly string[]): string | false {
  const { error, status } = spawnSync(program, args, { encoding: 'utf8' });
  if (error === undefined && status === 0) return false;
  return `"${[program, ...args].join(' ')}" does not run here`;
}

export function run(
  program: string,
  args: readonly string[],
): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  return { status, said: `${stdout}${stderr}` };
}

/** A copy of a folder of deploy/, gone after the test. */
export function copyOf(name: string): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'headwater-deploy-'));
  cpSync(join(deploy, name), path, {
    recursive: true,
    filter: (each) => !/\/deploy\/(secrets|files|\.env)$/.test(each),
  });
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export function text(name: string): string {
  return readFileSync(join(deploy, name), 'utf8');
}

/** Writes a file with some texts in place of others, each of which has to be there. */
export function rewrite(
  from: string,
  to: string,
  replacements: readonly (readonly [string | RegExp, string])[],
): void {
  let is = readFileSync(from, 'utf8');
  for (const [old, fresh] of replacements) {
    const next = is.replaceAll(old, fresh);
    if (next === is) throw new Error(`${from} has no ${String(old)}`);
    is = next;
  }
  writeFileSync(to, is);
}
