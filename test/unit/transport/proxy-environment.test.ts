import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { HeadwaterError } from '../../../src/core/errors.ts';
import { proxyFromEnvironment } from '../../../src/transport/proxy-environment.ts';

function proxy(environment: Record<string, string>, url: string): string | undefined {
  return proxyFromEnvironment(environment)(new URL(url))?.href;
}

function excepted(noProxy: string, url: string): boolean {
  return proxy({ all_proxy: 'http://p:1', no_proxy: noProxy }, url) === undefined;
}

describe('the proxy from the environment', () => {
  it('is chosen by scheme, small letters first, then the one for all', () => {
    const environment = {
      HTTP_PROXY: 'http://capitals:1',
      http_proxy: 'http://small:2',
      HTTPS_PROXY: 'http://secure:3',
      ALL_PROXY: 'http://all:4',
    };
    assert.equal(proxy(environment, 'http://a/'), 'http://small:2/');
    assert.equal(proxy(environment, 'https://a/'), 'http://secure:3/');
    assert.equal(proxy({ ALL_PROXY: 'http://all:4' }, 'https://a/'), 'http://all:4/');
    assert.equal(proxy({ HTTPS_PROXY: 'http://secure:3' }, 'http://a/'), undefined);
  });

  it('is none where nothing is set, or only spaces', () => {
    assert.equal(proxy({}, 'http://a/'), undefined);
    assert.equal(proxy({ http_proxy: ' ', HTTP_PROXY: '' }, 'http://a/'), undefined);
  });

  it('may come without a scheme, and with a user', () => {
    assert.equal(proxy({ http_proxy: 'proxy.example:3128' }, 'http://a/'), 'http://proxy.example:3128/');
    assert.equal(proxy({ http_proxy: 'me:pw@10.0.0.1:3128' }, 'http://a/'), 'http://me:pw@10.0.0.1:3128/');
  });

  it('is refused when it cannot be one, without showing what may be a password', () => {
    for (const value of ['ftp://me:secret@p', 'socks5://me:secret@p', 'http://', 'http://me:secret@p:port']) {
      assert.throws(
        () => proxy({ HTTP_PROXY: value }, 'http://a/'),
        (error: unknown) =>
          error instanceof HeadwaterError &&
          error.code === 'HW_USAGE' &&
          error.message.includes('HTTP_PROXY') &&
          !error.message.includes('secret'),
      );
    }
  });
});

describe('exceptions from the proxy', () => {
  it('are names with their subdomains', () => {
    for (const entry of ['example.com', '.example.com', '*.example.com', 'EXAMPLE.com']) {
      assert.equal(excepted(entry, 'http://example.com/'), true, entry);
      assert.equal(excepted(entry, 'http://a.b.Example.com/'), true, entry);
      assert.equal(excepted(entry, 'http://notexample.com/'), false, entry);
      assert.equal(excepted(entry, 'http://example.com.evil/'), false, entry);
    }
  });

  it('are lists by commas and spaces, in either case of the variable', () => {
    assert.equal(excepted('a.example, b.example c.example,', 'http://b.example/'), true);
    assert.equal(excepted('a.example, b.example c.example,', 'http://c.example/'), true);
    assert.equal(excepted(',', 'http://c.example/'), false);
    assert.equal(proxy({ http_proxy: 'p:1', NO_PROXY: 'a' }, 'http://a/'), undefined);
  });

  it('can be for one port', () => {
    assert.equal(excepted('a.example:8080', 'http://a.example:8080/'), true);
    assert.equal(excepted('a.example:8080', 'http://a.example/'), false);
    assert.equal(excepted('a.example:443', 'https://a.example/'), true);
    assert.equal(excepted('[::1]:80', 'http://[::1]/'), true);
    assert.equal(excepted('[::1]:80', 'http://[::1]:81/'), false);
  });

  it('are addresses and networks', () => {
    assert.equal(excepted('127.0.0.1', 'http://127.0.0.1:8080/'), true);
    assert.equal(excepted('127.0.0.1', 'http://127.0.0.10/'), false);
    assert.equal(excepted('::1', 'http://[::1]:8080/'), true);
    assert.equal(excepted('10.0.0.0/8', 'http://10.200.3.4/'), true);
    assert.equal(excepted('10.0.0.0/8', 'http://11.0.0.1/'), false);
    assert.equal(excepted('10.0.0.0/8', 'http://host.example/'), false);
    assert.equal(excepted('fd00::/8', 'http://[fd12::1]/'), true);
    assert.equal(excepted('fd00::/8', 'http://10.0.0.1/'), false);
    assert.equal(excepted('10.0.0.0/99', 'http://10.0.0.1/'), false);
  });

  it('can be everything', () => {
    assert.equal(excepted('*', 'http://anything/'), true);
  });
});
