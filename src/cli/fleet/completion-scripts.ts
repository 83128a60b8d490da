export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * What each shell is told. All of them call `headwater __complete WORD...`, the last word being the one at the cursor, and
 * get a candidate a line; without any they complete file names of this machine.
 */
export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = {
  // With "filenames" readline quotes what has spaces in it. A colon ends a word in bash, and is a part of names here.
  bash: `_headwater() {
  local cword=$COMP_CWORD cur line
  local -a words=("\${COMP_WORDS[@]}")
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n := -w words -i cword
  fi
  cur=\${words[cword]}
  cur=\${cur#[\\"\\']}
  cur=\${cur//\\\\/}
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("$line")
  done < <("\${words[0]/#\\~/$HOME}" __complete "\${words[@]:1:cword-1}" "$cur" 2>/dev/null)
  if ((cword > 1)) && [[ $cur != -* ]]; then compopt -o filenames 2>/dev/null; fi
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#"\${cur%"\${cur##*:}"}"}")
  fi
}
complete -o default -o nosort -F _headwater headwater
`,
  zsh: `#compdef headwater
_headwater() {
  local -a found
  found=("\${(@f)$("\${(Q)words[1]}" __complete "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  found=("\${(@)found:#}")
  if (( \${#found} )); then
    compadd -- "\${found[@]}"
  else
    _files
  fi
}
if [[ "\${funcstack[1]}" == _headwater ]]; then
  _headwater "$@"
else
  compdef _headwater headwater
fi
`,
  fish: `function __headwater_complete
  set -l words (commandline -opc) (commandline -ct)
  command $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c headwater -a '(__headwater_complete)'
`,
};
