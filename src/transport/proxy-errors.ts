import { HeadwaterError } from '../core/errors.ts';
import { connectError } from './connect-errors.ts';
import { shownUrl } from './shown-url.ts';

interface Circumstances {
  readonly url: URL;
  readonly proxy: URL;
  /** A byte of the answer had come. */
  readonly begun: boolean;
}

/** Turns what undici reports of a request through a proxy into an error of the table, with the report as its cause. */
export function proxiedError(cause: Error, { url, proxy, begun }: Circumstances): HeadwaterError {
  const shown = shownUrl(url);
  const details = { url: shown };
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  // The requests made here are well-formed; this is how undici reports that a proxy answered 407.
  if (code === 'UND_ERR_INVALID_ARG') return proxyWantsCredentials(proxy, cause);
  if (cause.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW') {
    const message = `${shown} does not answer in HTTP as it should (${cause.message}).`;
    return new HeadwaterError('HW_PROTOCOL', message, { cause, details });
  }
  if (code.startsWith('UND_ERR_')) {
    const message = `${shown}: the connection through the proxy ${proxy.host} ended (${cause.message}).`;
    return new HeadwaterError('HW_CONNECT', message, { cause, details });
  }
  const host = `The proxy ${proxy.host}`;
  const ofProxy = connectError(cause, { url: shown, host, begun });
  return ofProxy.code === 'HW_TLS' ? connectError(cause, { url: shown, host: url.host, begun }) : ofProxy;
}

export function proxyWantsCredentials(proxy: URL, cause?: Error): HeadwaterError {
  const message = `The proxy ${proxy.host} asks for a user and password, or refuses those given (407).`;
  return new HeadwaterError('HW_NOT_ALLOWED', message, { cause, details: { status: 407 } });
}

export function proxyRefuses(proxy: URL, status: number): HeadwaterError {
  const code = status === 403 || status === 405 ? 'HW_NOT_ALLOWED' : 'HW_CONNECT';
  const message = `The proxy ${proxy.host} does not lead there: it answers ${status}.`;
  return new HeadwaterError(code, message, { details: { status } });
}
