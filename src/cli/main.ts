import { EXIT } from '../core/errors.ts';
import { errorLine, exitStatus } from './print/error.ts';
import { runProgram } from './program.ts';
import { endWithParent } from './up/parent.ts';

endWithParent();

// Whoever read our output has gone (`| head`, or a terminal whose window was closed). Commands that must clean up first
// listen themselves.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  const gone = error.code === 'EPIPE' || (error.code === 'EIO' && process.stdout.isTTY);
  if (!gone) throw error;
  if (process.stdout.listenerCount('error') === 1) process.exit(EXIT.pipe);
});

// Nobody reads what goes wrong any more, and there is nowhere else to say so.
process.stderr.on('error', () => undefined);

// A defect that no promise carries: said like any other error, with the status for it.
process.on('uncaughtException', (error) => {
  process.stderr.write(`${errorLine(error)}\n`);
  process.exit(exitStatus(error));
});

try {
  await runProgram(process.argv.slice(2), process.stdout, process.stderr);
} catch (error) {
  process.stderr.write(`${errorLine(error)}\n`);
  process.exitCode = exitStatus(error);
}
