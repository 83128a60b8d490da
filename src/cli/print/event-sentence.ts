import type { FleetEvent } from '../../core/api/events.ts';
import { oneLine } from './plain-text.ts';

/** `08:31:07  server.state  server-2 paused`: what people want to know first, then the rest as it is. */
export function eventSentence({ at, kind, data }: FleetEvent): string {
  const facts = Object.entries(data)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return oneLine(`${new Date(at).toLocaleTimeString('en-GB')}  ${kind.padEnd(18)}  ${facts.join(', ')}`);
}
