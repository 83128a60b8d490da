import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { HeadwaterError } from '../../../src/core/errors.ts';
import { connectError } from '../../../src/transport/connect-errors.ts';

function systemError(code: string, message = `connect ${code}`): Error {
  return Object.assign(new Error(message), { code, syscall: 'connect' });
}

function told(cause: Error, begun = false): HeadwaterError {
  return connectError(cause, { url: 'http://a.example/f', host: 'a.example', begun });
}

describe('a connect error', () => {
  it('is a sentence, with the code as a detail and the error as its cause', () => {
    const cause = systemError('ENOTFOUND');
    const error = told(cause);
    assert.equal(error.code, 'HW_CONNECT');
    assert.equal(error.message, 'a.example is not known: no address is found for that name.');
    assert.deepEqual(error.details, { url: 'http://a.example/f', reason: 'ENOTFOUND' });
    assert.equal(error.cause, cause);
  });

  it('says what is not in its table in the words of the system', () => {
    assert.equal(told(systemError('EWEIRD', 'weird')).message, 'a.example cannot be reached (weird).');
    assert.equal(told(new Error('odd')).message, 'a.example cannot be reached (odd).');
    assert.equal(told(new Error('odd')).code, 'HW_CONNECT');
  });

  it('speaks of the last address when every address of a name failed', () => {
    const both = new AggregateError([systemError('ENETUNREACH'), systemError('EHOSTUNREACH')]);
    assert.equal(told(both).message, 'a.example cannot be reached: no route to that host.');
  });

  it('is about TLS when the code is, unless bytes of an answer had come', () => {
    for (const code of ['CERT_HAS_EXPIRED', 'PATH_LENGTH_EXCEEDED', 'ERR_SSL_NO_CIPHERS', 'ERR_TLS_X']) {
      assert.equal(told(Object.assign(new Error('x'), { code })).code, 'HW_TLS', code);
    }
    const torn = Object.assign(new Error('bad record mac'), { code: 'ERR_SSL_BAD_RECORD_MAC' });
    assert.equal(told(torn, true).code, 'HW_CONNECT');
    assert.equal(told(systemError('EAI_AGAIN')).code, 'HW_CONNECT');
  });

  it('leaves errors of this project as they are', () => {
    const own = new HeadwaterError('HW_CONNECT', 'did not answer');
    assert.equal(told(own), own);
  });
});
