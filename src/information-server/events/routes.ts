import type { Routes } from '../context.ts';
import { brokerOf } from './broker-of.ts';
import { eventMetrics } from './event-metrics.ts';
import { peopleFeed } from './people-feed.ts';
import { serverStream } from './server-stream.ts';

/** What happens in the fleet, for file servers and for people. */
export const eventsRoutes: Routes = (app, context) => {
  const broker = brokerOf(context);
  if (broker !== undefined) {
    context.brokerIsUp = () => broker.connection.isUp;
    app.addHook('onClose', () => broker.connection.close());
  }
  eventMetrics(context);
  serverStream(app, context);
  peopleFeed(app, context);
};
