import { type Command, flagsOf, usage } from '../command.ts'
import { printJson } from '../io.ts'

interface Row {
  readonly name: string
  readonly summary: string
  readonly flags: readonly {
    readonly name: string
    readonly doc: string
    readonly values: readonly string[]
  }[]
}

const SHELLS = { bash, zsh, fish } as const

export const completion: Command = {
  name: 'completion',
  summary: 'Print shell completion for bash, zsh or fish',
  positionals: 'bash|zsh|fish',
  positionalsMax: 1,
  flags: {},
  examples: [
    'source <(salus completion bash)',
    'salus completion zsh > ~/.zfunc/_salus',
    'salus completion fish > ~/.config/fish/completions/salus.fish',
  ],
  async run(args, io) {
    const [shell = ''] = args.positionals
    if (!Object.hasOwn(SHELLS, shell)) throw usage('SHELL: must be bash, zsh or fish')
    const { TABLE } = await import('../table.ts')
    const rows = await Promise.all(
      TABLE.map(async ({ name, summary, load }): Promise<Row> => {
        const flags = Object.entries(flagsOf(await load())).map(([flag, { doc, values = [] }]) => ({
          name: flag,
          doc,
          values,
        }))
        return { name, summary, flags }
      }),
    )
    const script = SHELLS[shell as keyof typeof SHELLS](rows)
    if (args.is('json')) printJson(io, { ok: true, shell, script })
    else io.out(script)
    return 0
  },
}

const words = (rows: readonly Row[]) => [...new Set(rows.map(({ name }) => name.split(' ')[0] ?? ''))]
const second = (rows: readonly Row[], word: string) =>
  rows.filter(({ name }) => name.startsWith(`${word} `)).map(({ name }) => name.slice(word.length + 1))
const dashed = (row: Row) => row.flags.map(({ name }) => `--${name}`).join(' ')
const plain = (text: string) => text.replaceAll("'", '’').replaceAll(/[[\]:]/g, ' ')

function bash(rows: readonly Row[]): string {
  const groups = words(rows).filter((word) => second(rows, word).length > 0)
  return `_salus() {
  local cur=\${COMP_WORDS[COMP_CWORD]} first=\${COMP_WORDS[1]} second=\${COMP_WORDS[2]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${words(rows).join(' ')}' -- "$cur")); return
  fi
  if [ "$COMP_CWORD" -eq 2 ]; then
    case $first in
${groups.map((word) => `      ${word}) COMPREPLY=($(compgen -W '${second(rows, word).join(' ')}' -- "$cur")); return ;;`).join('\n')}
    esac
  fi
  case $cur in
    -*) case "$first $second" in
${rows
  .toSorted((a, b) => b.name.length - a.name.length)
  .map(
    (row) =>
      `      '${row.name}'${row.name.includes(' ') ? '' : '*'}) COMPREPLY=($(compgen -W '${dashed(row)}' -- "$cur")) ;;`,
  )
  .join('\n')}
    esac ;;
    *) COMPREPLY=($(compgen -f -- "$cur")) ;;
  esac
}
complete -o filenames -F _salus salus
`
}

function zsh(rows: readonly Row[]): string {
  const cases = rows
    .toSorted((a, b) => b.name.length - a.name.length)
    .map(
      (row) =>
        `    '${row.name}'${row.name.includes(' ') ? '' : '*'}) _arguments ${row.flags.map(({ name, doc, values }) => `'--${name}[${plain(doc)}]${values.length > 0 ? `:value:(${values.join(' ')})` : ''}'`).join(' ')} '*:file:_files' ;;`,
    )
  const groups = words(rows).filter((word) => second(rows, word).length > 0)
  return `#compdef salus
_salus() {
  if (( CURRENT == 2 )); then
    local -a commands
    commands=(${words(rows)
      .map(
        (word) =>
          `'${word}:${plain(rows.find(({ name }) => name === word || name.startsWith(`${word} `))?.summary ?? '')}'`,
      )
      .join(' ')})
    _describe command commands; return
  fi
  if (( CURRENT == 3 )); then
    case $words[2] in
${groups.map((word) => `      ${word}) compadd -- ${second(rows, word).join(' ')}; return ;;`).join('\n')}
    esac
  fi
  case "$words[2] $words[3]" in
${cases.join('\n')}
  esac
}
compdef _salus salus
`
}

function fish(rows: readonly Row[]): string {
  const lines = [
    'complete -c salus -f -n __fish_use_subcommand',
    ...words(rows).map(
      (word) =>
        `complete -c salus -n __fish_use_subcommand -a ${word} -d '${plain(rows.find(({ name }) => name === word || name.startsWith(`${word} `))?.summary ?? '')}'`,
    ),
  ]
  for (const word of words(rows))
    for (const sub of second(rows, word))
      lines.push(
        `complete -c salus -n '__fish_seen_subcommand_from ${word}; and not __fish_seen_subcommand_from ${second(rows, word).join(' ')}' -a ${sub}`,
      )
  for (const row of rows) {
    const [first = '', sub] = row.name.split(' ')
    const seen = `__fish_seen_subcommand_from ${first}${sub === undefined ? '' : `; and __fish_seen_subcommand_from ${sub}`}`
    for (const { name, doc, values } of row.flags)
      lines.push(
        `complete -c salus -n '${seen}' -l ${name} -d '${plain(doc)}'${values.length > 0 ? ` -x -a '${values.join(' ')}'` : ''}`,
      )
  }
  return `${lines.join('\n')}\n`
}
