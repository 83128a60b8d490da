import { Argument, Command } from 'commander';

import { COMPLETION_SCRIPTS, SHELLS, type Shell } from './fleet/completion-scripts.ts';

const EXAMPLES = `
To have it in every new shell:
  bash   headwater completion bash > ~/.local/share/bash-completion/completions/headwater
         (or, in ~/.bashrc:  source <(headwater completion bash))
  zsh    headwater completion zsh > "\${fpath[1]}/_headwater"
  fish   headwater completion fish > ~/.config/fish/completions/headwater.fish

Names of files and servers come from the fleet that you are logged in to; when it does not answer within a second, none do.
`;

/** `headwater completion`. */
export function completionCommand(): Command {
  return new Command('completion')
    .summary('have the shell complete commands and names')
    .description('Prints what makes a shell complete commands, options, and names of files and servers.')
    .addArgument(new Argument('<SHELL>', 'which one').choices(SHELLS))
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', EXAMPLES)
    .action((shell: Shell) => void process.stdout.write(COMPLETION_SCRIPTS[shell]));
}
