/**
 * A name as it is searched and sorted: composed (Unicode NFC: some systems write an accent as a character of its own) and in
 * lower case. What is looked for is folded in the same way.
 */
export function foldName(name: string): string {
  return name.normalize('NFC').toLowerCase().normalize('NFC');
}
