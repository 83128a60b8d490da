import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface KeyAndCertificate {
  readonly key: string;
  readonly cert: string;
}

/** A certificate made on the spot by `openssl`, which the tests need. It signs itself and is an authority. */
export function selfSigned(subject: string, names: string, days = 2): KeyAndCertificate {
  const folder = mkdtempSync(join(tmpdir(), 'headwater-certificate-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key];
    const extensions = ['-subj', `/CN=${subject}`, '-addext', `subjectAltName=${names}`];
    execFileSync('openssl', ['req', '-x509', ...curve, '-out', cert, '-days', String(days), ...extensions], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** For servers on this machine's own addresses. */
export const SELF_SIGNED = selfSigned('Headwater test', 'DNS:localhost,IP:127.0.0.1,IP:::1');
