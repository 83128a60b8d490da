/** Node's TLS, loaded when it is first needed: that takes 10 ms, a tenth of what `get` needs to start over plain HTTP. */
export function nodeTls(): typeof import('node:tls') {
  return process.getBuiltinModule('node:tls');
}
