/** Limits of repair, with their reasons. Times are milliseconds unless the name says otherwise. */

/** Work of one look: the leader answers requests besides. */
export const LOOK_TIME = 200;
/** Contents that are planned, and written down, together. */
export const PLANNED_AT_ONCE = 50;
/** Orders under way in the fleet at most. */
export const MOST_ORDERS = 5_000;
/** Time that an order has besides what its bytes, and those before it, take at the least rate. */
export const ORDER_PATIENCE = 60_000;
/** A content with orders under way is looked at again after this, though none of them seems to end. */
export const ORDERED_AGAIN = 60_000;
/** One that waits for room under the cap is looked at again after this. */
export const CAPPED_AGAIN = 3_000;
/** One that can only wait for other servers is looked at again after this, or when a server comes. */
export const PARKED_AGAIN = 3_600_000;
/** A server that still holds what it was told to let go is told again after this. */
export const DROP_AGAIN = 120_000;
/** A server that did not do an order is asked last for the same content for this long. */
export const AVOIDED_FOR = 600_000;
/** Servers named as sources of one order. */
export const MOST_SOURCES = 100;
/** Holdings looked at to see whether a draining server is empty. */
export const DRAINED_SLICE = 1_000;
/** Time in which it is worked out what a rebalance would move; what is not looked at by then is taken to be like the rest. */
export const REBALANCE_LOOK = 3_000;
/** Contents read at once for that. */
export const REBALANCE_PAGE = 20;
/** Contents marked in one transaction. */
export const REBALANCE_MARKED = 2_000;
