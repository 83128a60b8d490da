import type { Audience } from '../../core/api/events.ts';
import { MOST_TOLD } from './limits.ts';

/** These servers; where they are very many, all: it is nothing to the others. */
export function serversAudience(ids: readonly string[]): Audience {
  return ids.length > MOST_TOLD ? 'all' : { servers: [...ids] };
}
