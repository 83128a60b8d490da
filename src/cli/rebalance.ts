import { Command } from 'commander';

import type { RebalanceAnswer } from '../core/api/uploads.ts';
import { HeadwaterError } from '../core/errors.ts';
import { confirmed, type Questioner } from './fleet/ask.ts';
import { say, sayLines, type Said } from './fleet/said.ts';
import { withFleet } from './fleet/with-fleet.ts';
import { count, size } from './print/amounts.ts';

interface RebalanceOptions extends Said {
  readonly dryRun?: true;
  readonly yes?: true;
}

/** Seconds that the information server may take to work out what would move. */
const MEASURE_TIME = 10;

/** `headwater rebalance`. */
export function rebalanceCommand(): Command {
  return new Command('rebalance')
    .summary('move chunks to where they belong, such as to new servers')
    .description(
      'Shows what would move between file servers so that each has its share, and moves it, no faster than lost copies are made again. Nothing is let go before its copy is elsewhere.',
    )
    .usage('[options]')
    .option('--dry-run', 'show it, and move nothing')
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print one JSON object')
    .helpOption('-h, --help', 'print this help')
    .action(async (options: RebalanceOptions) => {
      await withFleet(async ({ client, signal }) => {
        const ask = (dryRun: boolean): Promise<RebalanceAnswer> =>
          client.ask<RebalanceAnswer>('POST', 'v1/rebalance', {
            body: { dryRun },
            signal,
            wait: MEASURE_TIME,
            repeatable: true,
          });
        const isAsked = options.dryRun !== true && options.yes !== true;
        if (isAsked) mustBeTerminal();
        if (options.dryRun === true || isAsked) {
          const answer = await ask(true);
          show(options, answer, 'would move');
          if (options.dryRun === true || answer.bytes === 0) return;
          if (!(await confirmed('Move it?', process))) {
            throw new HeadwaterError('HW_INTERRUPTED', 'nothing is moved');
          }
        }
        show(options, await ask(false), 'move now: headwater events tells when that is done');
      });
    });
}

function mustBeTerminal(): void {
  const at: Questioner = process;
  if (at.stdin.isTTY === true) return;
  throw new HeadwaterError(
    'HW_USAGE',
    'standard input is no terminal to ask at: --yes moves without asking, --dry-run moves nothing',
  );
}

function show(options: RebalanceOptions, answer: RebalanceAnswer, what: string): void {
  if (answer.bytes === 0) {
    say(options, answer, 'Every chunk is where it belongs: nothing is to be moved.');
    return;
  }
  const about = answer.looked < answer.contents ? 'About ' : '';
  say(options, answer, `${about}${count(answer.chunks, 'chunk')}, ${size(answer.bytes)}, ${what}.`);
  if (options.json === true) return;
  sayLines(
    answer.servers.map(({ name, takes, gives }) => `  ${name}: takes ${size(takes)}, gives ${size(gives)}`),
  );
}
