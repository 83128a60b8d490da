import { describe } from 'node:test';

import { withoutPostgres } from '../unit/database/each-database.ts';
import { brokerLab, withoutBroker } from './broker-lab.ts';
import { feedContract } from './feed-contract.ts';

describe('events through RabbitMQ, on SQLite', { skip: withoutBroker }, () =>
  feedContract(() => brokerLab('sqlite')),
);
describe('events through RabbitMQ, on PostgreSQL', { skip: withoutBroker || withoutPostgres }, () =>
  feedContract(() => brokerLab('postgresql')),
);
