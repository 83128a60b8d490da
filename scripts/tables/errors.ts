import { ERRORS } from '../../src/core/errors.ts';

/** The table of codes for docs/errors.md. */
export function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { meaning, remedy, http, exit }]) =>
      `| \`${code}\` | ${meaning} | ${remedy} | ${http} | ${exit} |`,
  );
  return ['| code | meaning | remedy | HTTP | exit |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}
