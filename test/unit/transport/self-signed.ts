import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface KeyAndCertificate {
  readonly key: string;
  readonly cert: string;
}

/**
 * A certificate made on the spot by `openssl`, which the tests need. It signs itself and is an authority. Negative
 * `days` make one that has expired.
 */
export function selfSigned(subject: string, names: string, days = 2): KeyAndCertificate {
  const folder = mkdtempSync(join(tmpdir(), 'headwater-certificate-'));
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  try {
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key'];
    openssl('req', '-new', ...curve, '-subj', `/CN=${subject}`, '-out', 'request');
    writeFileSync(join(folder, 'extensions'), `subjectAltName=${names}\nbasicConstraints=CA:true\n`);
    const from = ['-in', 'request', '-signkey', 'key', '-extfile', 'extensions'];
    openssl('x509', '-req', ...from, '-days', String(days), '-out', 'cert');
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    return { key: read('key'), cert: read('cert') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** For servers on this machine's own addresses. */
export const SELF_SIGNED = selfSigned('Headwater test', 'DNS:localhost,IP:127.0.0.1,IP:::1');
