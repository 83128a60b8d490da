import { HeadwaterError } from '../core/errors.ts';

/** What the system's codes mean, in words that follow a server's name. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses connections: nothing listens on that port',
  ECONNRESET: 'reset the connection',
  EPIPE: 'closed the connection',
  ECONNABORTED: 'dropped the connection',
  ETIMEDOUT: 'does not answer',
  EHOSTUNREACH: 'cannot be reached: no route to that host',
  ENETUNREACH: 'cannot be reached: no network leads there',
  EHOSTDOWN: 'is down',
  ENETDOWN: 'cannot be reached: the network is down',
  EADDRNOTAVAIL: 'cannot be reached: this machine has no free port or address for it',
  ENOTFOUND: 'is not known: no address is found for that name',
  EAI_AGAIN: 'cannot be looked up: the name server does not answer',
  EMFILE: 'cannot be reached: this program has too many files and connections open',
  EACCES: 'cannot be reached: this machine does not allow it',
};

/** What is wrong with a certificate, in words that follow a server's name. */
const CERTIFICATE_REASONS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'signed its certificate itself, so nothing says that it is the right server',
  SELF_SIGNED_CERT_IN_CHAIN: 'has a certificate of an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT: 'has a certificate of an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'has a certificate of an authority that is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'has a certificate of an authority that is not trusted here, or does not send the whole chain',
  CERT_HAS_EXPIRED: 'has a certificate that has expired',
  CERT_NOT_YET_VALID: 'has a certificate that is not valid yet (is the clock of this machine right?)',
  CERT_REVOKED: 'has a certificate that was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'has a certificate for another name',
  HOSTNAME_MISMATCH: 'has a certificate for another name',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does not speak TLS on that port (is it http: rather than https:?)',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'does not speak TLS on that port (is it http: rather than https:?)',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'asks for a client certificate',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'does not trust the client certificate',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'only speaks versions of TLS that are no longer safe',
};

interface Circumstances {
  /** As it may be shown: no credentials. */
  readonly url: string;
  readonly host: string;
  /** Bytes of an answer had come: whatever ended it, the certificate was not the reason. */
  readonly begun: boolean;
}

/** Turns what a socket reports into `HW_TLS` or `HW_CONNECT`, in a sentence, with the report as its cause. */
export function connectError(cause: Error, { url, host, begun }: Circumstances): HeadwaterError {
  if (cause instanceof HeadwaterError) return cause;
  const code = codeOf(cause);
  const details = { url, ...(code !== undefined && { reason: code }) };
  if (!begun && code !== undefined && isTlsCode(code)) {
    const reason = CERTIFICATE_REASONS[code] ?? `could not agree on TLS (${cause.message})`;
    return new HeadwaterError('HW_TLS', `${host} ${reason}${namesIn(cause)}.`, { cause, details });
  }
  const reason = (code === undefined ? undefined : REASONS[code]) ?? `cannot be reached (${cause.message})`;
  return new HeadwaterError('HW_CONNECT', `${host} ${reason}.`, { cause, details });
}

/** With several addresses for one name Node reports one error of all; what the last one said speaks for them. */
function codeOf(error: Error): string | undefined {
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (error instanceof AggregateError) {
    const last: unknown = error.errors.at(-1);
    return last instanceof Error ? codeOf(last) : undefined;
  }
  return undefined;
}

/** OpenSSL's names for what it finds in a certificate have underscores and no prefix; the system's have neither. */
function isTlsCode(code: string): boolean {
  if (code.startsWith('ERR_')) return /^ERR_(SSL|TLS|OSSL)_/.test(code);
  return code.includes('_') && !(code in REASONS);
}

/** The names that a certificate is for, where the error brings the certificate along. */
function namesIn(error: Error): string {
  if (!('cert' in error) || typeof error.cert !== 'object' || error.cert === null) return '';
  if (!('subjectaltname' in error.cert) || typeof error.cert.subjectaltname !== 'string') return '';
  return ` (${error.cert.subjectaltname})`;
}
