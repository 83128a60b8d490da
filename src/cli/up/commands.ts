import { join } from 'node:path';

import type { PlannedServer, UpPlan } from './plan.ts';

/** Arguments of `headwater information-server`. */
export function informationServerArgs(
  { data, address, replicas }: UpPlan,
  { port, url }: UpPlan['informationServers'][number],
): string[] {
  return [
    'information-server',
    '--data',
    data,
    '--address',
    address,
    '--port',
    String(port),
    '--public-url',
    url,
    ...(replicas === undefined ? [] : ['--replicas', String(replicas)]),
    '--json',
  ];
}

/** The first admin is made already. */
export function informationServerEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const {
    HEADWATER_ADMIN_EMAIL: _email,
    HEADWATER_ADMIN_PASSWORD: _password,
    HEADWATER_ADMIN_PASSWORD_FILE: _file,
    ...rest
  } = env;
  return rest;
}

/** Arguments of `headwater file-server`. */
export function fileServerArgs(
  { data, address, folders, limit, informationServers }: UpPlan,
  { name, zone, port }: PlannedServer,
): string[] {
  return [
    'file-server',
    ...folders.flatMap((each) => ['--folder', each]),
    ...informationServers.flatMap(({ url }) => ['--join', url]),
    '--name',
    name,
    '--zone',
    zone,
    '--address',
    address,
    '--port',
    String(port),
    '--data',
    join(data, 'servers', name),
    ...(limit === undefined ? [] : ['--limit', String(limit)]),
    // Its log is a file: what it does is seen at the fleet.
    '--interval',
    '3600',
    '--log',
    'warn',
    '--json',
  ];
}

/** The join token is in the data folder of the information servers, unless it is given. */
export function fileServerEnv({ data }: UpPlan, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const rest = informationServerEnv(env);
  const given = env['HEADWATER_JOIN_TOKEN'] ?? env['HEADWATER_JOIN_TOKEN_FILE'];
  if (given !== undefined && given !== '') return rest;
  return { ...rest, HEADWATER_JOIN_TOKEN_FILE: join(data, 'join-token') };
}
