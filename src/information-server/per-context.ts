import type { Context } from './context.ts';

/** One of a thing for each running server, made when it is first asked for and shared by all routes. */
export function perContext<T>(make: (context: Context) => T): (context: Context) => T {
  const made = new WeakMap<Context, { readonly it: T }>();
  return (context) => {
    const known = made.get(context);
    if (known !== undefined) return known.it;
    const it = make(context);
    made.set(context, { it });
    return it;
  };
}
