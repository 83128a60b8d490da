import { EventTail } from '../../events/event-tail.ts';
import { perContext } from '../per-context.ts';

/** What this information server's streams of events are fed by. */
export const eventTailOf = perContext(({ database, signal }) => new EventTail(database, signal));
