/**
 * One line without control characters: what a server or a file name says cannot move the cursor or
 * colour the terminal.
 */
export function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').replaceAll(/\p{Cc}/gu, '\ufffd');
}
