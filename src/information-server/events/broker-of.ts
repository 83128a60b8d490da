import { BrokerConnection } from '../../events/rabbitmq/broker-connection.ts';
import { brokerAt, type BrokerNames } from '../../events/rabbitmq/broker-names.ts';
import { perContext } from '../per-context.ts';

interface FleetBroker {
  readonly connection: BrokerConnection;
  readonly names: BrokerNames;
}

/** This information server's connection to the message broker; undefined where there is none. */
export const brokerOf = perContext((context): FleetBroker | undefined => {
  const { settings, log } = context;
  if (settings.broker === undefined) return undefined;
  const { url, names } = brokerAt(settings.broker);
  let isAway = false;
  const connection = new BrokerConnection(
    url,
    `headwater information server ${settings.id}`,
    (state, cause) => {
      if (context.signal.aborted || isAway === (state === 'away')) return;
      isAway = state === 'away';
      if (isAway) log.warn({ err: cause }, 'the message broker is away: what it should carry is kept');
      else log.info('the message broker is back');
    },
  );
  return { connection, names };
});
