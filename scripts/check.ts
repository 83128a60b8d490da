/** Lint, format, types, unused code and the direction of imports. Runs everything, then says what failed. */
import { spawnSync } from 'node:child_process';

const bin = 'node_modules/.bin';

const CHECKS = [
  // .oxlintrc.json holds the direction of imports too.
  {
    name: 'lint and import direction',
    command: 'oxlint',
    args: ['--type-aware', '--deny-warnings', '-f', 'unix'],
  },
  { name: 'format', command: 'oxfmt', args: ['--check'] },
  { name: 'types', command: 'tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'types of what is published', command: 'tsc', args: ['-p', 'tsconfig.build.json', '--noEmit'] },
  { name: 'unused code', command: 'knip', args: ['--no-progress'] },
];

const failed: string[] = [];
for (const { name, command, args } of CHECKS) {
  console.log(`- ${name}: ${command} ${args.join(' ')}`);
  const { status, error } = spawnSync(`${bin}/${command}`, args, { stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) failed.push(name);
}
console.log(failed.length === 0 ? 'All checks passed.' : `Failed: ${failed.join(', ')}.`);
process.exitCode = failed.length === 0 ? 0 : 1;
