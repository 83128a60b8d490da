// Runs one of the repository's scripts on the repository's own Node, installing what is missing first.
// Plain and without dependencies, because it runs on whatever Node the machine has, before anything is installed.
//
//   node scripts/launch.mjs SCRIPT [ARGUMENT...]
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const windows = process.platform === 'win32';
const node = join(root, 'node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');
const [script, ...args] = process.argv.slice(2);

if (script === undefined) stop('launch.mjs takes a script to run', 2);
const missing = whatIsMissing();
if (missing !== undefined) install(missing);
run();

/** Why an install is needed, or undefined. */
function whatIsMissing() {
  const installed = lock(join(root, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return 'nothing is installed yet';
  if (!existsSync(node)) return "the repository's own Node is missing";
  const wanted = lock(join(root, 'package-lock.json')) || {};
  const stale = Object.keys(wanted).find((path) => {
    // Optional packages are those of other platforms; the empty path is the repository itself.
    if (path === '' || wanted[path].optional) return false;
    return !installed[path] || installed[path].version !== wanted[path].version;
  });
  return stale && `${stale} is not the one in package-lock.json`;
}

/** The packages that a lock file names. */
function lock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

function install(why) {
  console.log(`Installing what package-lock.json names with "npm ci" (${why}); this happens once.`);
  const options = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  // Under "npm run" the very same npm; by itself the one that the shell finds.
  const own = process.env.npm_execpath;
  const result =
    own && /npm-cli\.c?js$/.test(own)
      ? spawnSync(process.execPath, [own, ...options], { cwd: root, stdio: 'inherit' })
      : spawnSync('npm', options, { cwd: root, stdio: 'inherit', shell: windows });
  if (result.error)
    stop(`npm cannot be started (${result.error.message}); Node comes with it: https://nodejs.org`, 69);
  if (result.status !== 0) stop('"npm ci" failed; what it said is above. Is there a network?', 69);
  if (!existsSync(node)) {
    stop(
      `"npm ci" has not brought ${node}; install scripts may be switched off (npm config get ignore-scripts)`,
      69,
    );
  }
}

function run() {
  // A signal that is handed on may come from the terminal too: by this the program tells that both are one.
  const env = { ...process.env, HEADWATER_HANDED_OVER_BY: String(process.pid) };
  const child = spawn(node, [join(root, script), ...args], { cwd: root, stdio: 'inherit', env });
  // A terminal sends Ctrl-C to the child too: stay until it has cleaned up, and end as it ends.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => void (signal === 'SIGINT' ? undefined : child.kill(signal)));
  }
  // npm hands signals to a shell that does not hand them on: who kills npm would leave all this behind.
  const parent = process.ppid;
  const orphaned = () => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill('SIGTERM');
  };
  const watch = process.env.npm_lifecycle_event ? setInterval(orphaned, 1000) : undefined;
  child.on('error', (error) => stop(`cannot start ${node}: ${error.message}`, 69));
  child.on('exit', (code, signal) =>
    process.exit(code === null ? 128 + (constants.signals[signal] || 0) : code),
  );
}

function stop(message, status) {
  console.error(`headwater: ${message}`);
  process.exit(status);
}
