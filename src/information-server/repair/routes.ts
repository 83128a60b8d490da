import { NoQuery } from '../../core/api/common.ts';
import { RebalanceAnswer, RebalanceRequest } from '../../core/api/uploads.ts';
import { actorOf } from '../accounts/audit.ts';
import { callerOf } from '../authentication.ts';
import type { Routes } from '../context.ts';
import { measureRebalance, startRebalance } from './rebalance.ts';

/** What operators may want of the fleet's copies. */
export const repairRoutes: Routes = (app, context) => {
  app.post(
    '/v1/rebalance',
    {
      schema: {
        tags: ['servers'],
        summary:
          'Moves copies to where they belong, such as to servers that are new, or says what would move',
        querystring: NoQuery,
        body: RebalanceRequest,
        response: { 200: RebalanceAnswer },
      },
    },
    async (request) => {
      const caller = await callerOf(request, context, 'admin');
      const { dryRun } = request.body;
      const answer = await measureRebalance(context, dryRun);
      if (!dryRun && answer.bytes > 0) await startRebalance(context, answer, actorOf(request, caller));
      return answer;
    },
  );
};
