import { styleText } from 'node:util';

/** Colours text, or gives it back as it is. */
export type Paint = (style: Style, text: string) => string;
export type Style = 'green' | 'yellow' | 'red' | 'dim' | 'bold';

/** Colour only where the stream shows it; Node's answer honours NO_COLOR, FORCE_COLOR and TERM. */
export function paintFor(stream: { isTTY?: boolean; hasColors?: () => boolean }): Paint {
  const shown = stream.isTTY === true && stream.hasColors?.() === true;
  return shown ? (style, text) => styleText(style, text, { validateStream: false }) : (_, text) => text;
}
