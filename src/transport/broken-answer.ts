/**
 * An answer that breaks the rules of HTTP, as found by the parsers, which know no URL. The connection turns it into
 * `HW_PROTOCOL`; being a class of its own tells it from errors that a receiver throws.
 */
export class BrokenAnswer extends Error {
  override readonly name = 'BrokenAnswer';
}
