import type { Receiver, Request } from './connection.ts';
import { framingOf, keepsAlive } from './framing-rules.ts';
import type { Framing } from './framing.ts';
import { HeadReader } from './head-reader.ts';
import type { Input } from './lines.ts';

/**
 * One answer on its way to its receiver. Bytes come in two ways: `feed` takes what was read aside, head and framing
 * and the body bytes between them; `memory` and `landed` let body bytes be read straight into the receiver's memory.
 * Knows no sockets.
 */
export class Answer {
  /** The answer is whole. */
  done = false;
  /** The connection may carry another request afterwards. */
  reusable = false;
  /** A byte of the answer has come. */
  begun = false;
  /** While true, no body byte is handed over. */
  held = false;
  #abandoned = false;
  readonly #method: Request['method'];
  readonly #receiver: Receiver;
  readonly #headReader = new HeadReader();
  #framing: Framing | undefined;

  constructor(method: Request['method'], receiver: Receiver) {
    this.#method = method;
    this.#receiver = receiver;
  }

  /** Body bytes come next. */
  get inBody(): boolean {
    return this.#framing !== undefined && this.#framing.remaining > 0;
  }

  /**
   * Takes bytes that were read aside. Leaves the rest of `input` when the answer is done, when it is held, or when
   * the receiver has no memory.
   *
   * @throws BrokenAnswer, and whatever the receiver throws
   */
  feed(input: Input): void {
    while (!this.done && !this.#abandoned && input.at < input.bytes.length) {
      this.begun = true;
      if (this.#framing === undefined) this.#readHead(input);
      else if (!this.inBody) this.#readFraming(this.#framing, input);
      else {
        const memory = this.memory();
        if (memory === undefined) return;
        const length = Math.min(memory.length, input.bytes.length - input.at);
        memory.set(input.bytes.subarray(input.at, input.at + length));
        input.at += length;
        this.landed(length);
      }
    }
  }

  /**
   * The receiver's memory for the next body bytes, no longer than what may come. Undefined when framing comes next,
   * when the answer is held, or when the receiver has none.
   */
  memory(): Uint8Array | undefined {
    if (this.held || this.#abandoned || this.#framing === undefined || this.#framing.remaining === 0)
      return undefined;
    const memory = this.#receiver.buffer();
    if (memory?.length === 0) throw new RangeError('a receiver gave a buffer of no bytes');
    const { remaining } = this.#framing;
    return memory !== undefined && memory.length > remaining ? memory.subarray(0, remaining) : memory;
  }

  /** `length` body bytes are in the memory given last. */
  landed(length: number): void {
    this.#framing?.took(length);
    this.done = this.#framing?.done ?? false;
    this.#receiver.received(length);
  }

  /**
   * The server closed the connection. Undefined when that is how this body ends, or what is missing, in words that
   * follow "closed the connection".
   */
  close(): string | undefined {
    if (this.#framing === undefined) return this.begun ? 'within the head' : 'without an answer';
    const missing = this.#framing.missing();
    if (missing === undefined) this.done = true;
    return missing;
  }

  /** The receiver gets nothing more. */
  abandon(): void {
    this.#abandoned = true;
  }

  #readHead(input: Input): void {
    const head = this.#headReader.read(input);
    if (head === undefined) return;
    this.#framing = framingOf(this.#method, head);
    this.reusable = keepsAlive(head, this.#framing);
    this.done = this.#framing.done;
    this.#receiver.head({ status: head.status, headers: head.headers });
  }

  #readFraming(framing: Framing, input: Input): void {
    framing.read(input);
    this.done = framing.done;
  }
}
