import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** The bytes of a file that a server hands out. */
export interface Content {
  readonly size: number;
  /** Bytes `from` to `to` (exclusive), in memory of the caller's own. */
  read(from: number, to: number): Uint8Array;
  close(): void;
}

export function contentOf(bytes: Uint8Array): Content {
  return { size: bytes.length, read: (from, to) => bytes.slice(from, to), close() {} };
}

export function contentOfFile(path: string): Content {
  const file = openSync(path, 'r');
  return {
    size: fstatSync(file).size,
    read(from, to) {
      const bytes = new Uint8Array(to - from);
      for (let at = 0; at < bytes.length;) {
        const length = readSync(file, bytes, at, bytes.length - at, from + at);
        if (length === 0) throw new Error(`${path} became shorter`);
        at += length;
      }
      return bytes;
    },
    close: () => closeSync(file),
  };
}

/** Bytes that look random, are the same for the same seed, and take no memory, so that files can be of any size. */
export function madeUpContent(seed: number, size: number): Content {
  return {
    size,
    read(from, to) {
      const firstWord = Math.floor(from / 4);
      const words = new Uint32Array(Math.ceil(to / 4) - firstWord);
      for (let i = 0; i < words.length; i++) words[i] = mixed(seed, firstWord + i);
      return new Uint8Array(words.buffer, from - firstWord * 4, to - from);
    },
    close() {},
  };
}

/** A 32-bit finalizer: every bit of the position changes about half of the result. */
function mixed(seed: number, position: number): number {
  let word = Math.imul(seed ^ Math.floor(position / 2 ** 32), 0x9e3779b1) ^ (position >>> 0);
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}

/** Part of a content, as a content. */
export function slice(content: Content, from: number, to: number): Content {
  return { size: to - from, read: (start, end) => content.read(from + start, from + end), close() {} };
}

/** The content with bit 0 of byte `at` flipped. */
export function withFlippedBit(content: Content, at: number): Content {
  return changed(content, (bytes, from) => {
    const byte = bytes[at - from];
    if (byte !== undefined) bytes[at - from] = byte ^ 1;
  });
}

/** Every byte from `from` to `to` (exclusive) is another one. */
export function withOtherBytes(content: Content, from: number, to: number): Content {
  return changed(content, (bytes, start) => {
    const end = Math.min(bytes.length, to - start);
    for (let i = Math.max(0, from - start); i < end; i++) bytes[i] = 255 - (bytes[i] ?? 0);
  });
}

/** Cut off at `size`, or filled up to it with zeros. */
export function withSize(content: Content, size: number): Content {
  return {
    size,
    read(from, to) {
      const bytes = new Uint8Array(to - from);
      if (from < content.size) bytes.set(content.read(from, Math.min(to, content.size)));
      return bytes;
    },
    close() {},
  };
}

function changed(content: Content, change: (bytes: Uint8Array, from: number) => void): Content {
  return {
    size: content.size,
    read(from, to) {
      const bytes = content.read(from, to);
      change(bytes, from);
      return bytes;
    },
    close() {},
  };
}
