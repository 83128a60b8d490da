import { once } from 'node:events';
import { type IncomingMessage, type Server, createServer, request as forward } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';

export interface SmallProxyOptions {
  /** "user:password" that it asks for. */
  readonly credentials?: string;
  /** Status it answers every tunnel with. */
  readonly refuseTunnels?: number;
}

/** A real HTTP proxy: passes on requests for whole URLs, and tunnels. */
export class SmallProxy {
  /** What it was asked for: "GET http://…" or "CONNECT host:port". */
  readonly asked: string[] = [];
  readonly #options: SmallProxyOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(options: SmallProxyOptions) {
    this.#options = options;
    this.#server = createServer((incoming, answer) => {
      this.asked.push(`${incoming.method} ${incoming.url}`);
      if (!this.#allowed(incoming)) {
        answer.writeHead(407, { 'Proxy-Authenticate': 'Basic' }).end('who are you?');
        return;
      }
      const { method, headers, url = '' } = incoming;
      const outgoing = forward(url, { method, headers }, (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.on('error', () => answer.destroy());
        response.pipe(answer);
      });
      outgoing.on('error', () => answer.destroy());
      answer.on('close', () => outgoing.destroy());
      incoming.pipe(outgoing);
    });
    this.#server.on('connection', (socket) => this.#watch(socket));
    this.#server.on('connect', (incoming: IncomingMessage, client: Socket) => this.#tunnel(incoming, client));
  }

  static async start(options: SmallProxyOptions = {}): Promise<SmallProxy> {
    const proxy = new SmallProxy(options);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  /** Closes what clients have open, as a proxy that restarts. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.dropConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #allowed(incoming: IncomingMessage): boolean {
    const { credentials } = this.#options;
    if (credentials === undefined) return true;
    const expected = `Basic ${Buffer.from(credentials).toString('base64')}`;
    return incoming.headers['proxy-authorization'] === expected;
  }

  #tunnel(incoming: IncomingMessage, client: Socket): void {
    this.asked.push(`${incoming.method} ${incoming.url}`);
    const status = this.#allowed(incoming) ? this.#options.refuseTunnels : 407;
    if (status !== undefined) {
      client.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${incoming.url}`);
    const server = connect({ host: hostname, port: Number(port) }, () => {
      client.write('HTTP/1.1 200 Go on\r\n\r\n');
      server.pipe(client).pipe(server);
    });
    this.#watch(server);
    server.on('close', () => client.destroy());
    client.on('close', () => server.destroy());
  }

  #watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
  }
}
