import type { Routes } from '../context.ts';
import { peopleFeed } from './people-feed.ts';
import { serverStream } from './server-stream.ts';

/** What happens in the fleet, for file servers and for people. */
export const eventsRoutes: Routes = (app, context) => {
  serverStream(app, context);
  peopleFeed(app, context);
};
