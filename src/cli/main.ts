import { EXIT } from '../core/errors.ts';
import { errorLine, exitStatus } from './print/error.ts';
import { runProgram } from './program.ts';
import { endWithParent } from './up/parent.ts';

endWithParent();

// Whoever read our output has gone (`| head`). Commands that must clean up first listen themselves.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (process.stdout.listenerCount('error') === 1) process.exit(EXIT.pipe);
});

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
