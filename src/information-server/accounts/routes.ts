import type { App, Context } from '../context.ts';
import { keyRoutes } from './key-routes.ts';
import { sessionRoutes } from './session-routes.ts';
import { userRoutes } from './user-routes.ts';

/** Accounts: sessions, users, API keys, the audit log. */
export function accountsRoutes(app: App, context: Context): void {
  sessionRoutes(app, context);
  userRoutes(app, context);
  keyRoutes(app, context);
}
