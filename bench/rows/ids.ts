/** The rows of the benchmark's table, in its order, as `--only` names them. */
export const ROW_IDS = [
  'sha256',
  'manifest',
  'plain',
  'cpu',
  'serve',
  'hosts',
  'killed',
  'unplugged',
  'limited',
  'many',
  'by-name',
  'fleet-growth',
  'fleet-clients',
  'fleet-loss',
  'put',
  'grants',
  'catalogue',
  'grant-checks',
] as const;

/** Rows that are run only when they are named: what settled how a rival is run. */
export const EXTRA_ROW_IDS = ['aria2-settings'] as const;

export type RowId = (typeof ROW_IDS)[number] | (typeof EXTRA_ROW_IDS)[number];
