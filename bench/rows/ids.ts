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
] as const;

export type RowId = (typeof ROW_IDS)[number];
