import { AppError } from '@salus/core'
import { type Command, helpOf, readArgs, usage } from './command.ts'
import { type Io, printJson } from './io.ts'
import { type Entry, TABLE } from './table.ts'

/** Runs one command line; resolves with the exit code. Throws only for bugs. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const wantsJson = argv.includes('--json')
  let name = ''
  try {
    const found = find(argv)
    if (found === undefined) return overview(argv, io)
    const loaded = await found.entry.load()
    name = `${loaded.name}: `
    const more = await loaded.moreFlags?.(found.rest)
    const command = more === undefined ? loaded : { ...loaded, flags: { ...more, ...loaded.flags } }
    if (wantsHelp(found.rest)) {
      io.out(helpOf(command))
      return 0
    }
    return await command.run(readArgs(command, found.rest), io)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    io.err(`salus ${name}${error.code}: ${oneLine(error.message)}\n`)
    if (wantsJson) printJson(io, { ok: false, error: { code: error.code, message: error.message } })
    return error.code === 'USAGE' ? 2 : 1
  }
}

/** The command with the longest name that the line begins with. */
function find(argv: readonly string[]): { entry: Entry; rest: readonly string[] } | undefined {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ')
    const entry = argv.length < words ? undefined : TABLE.find((one) => one.name === name)
    if (entry !== undefined) return { entry, rest: argv.slice(words) }
  }
  return undefined
}

function wantsHelp(rest: readonly string[]): boolean {
  const end = rest.indexOf('--')
  return rest.slice(0, end < 0 ? rest.length : end).some((arg) => arg === '--help' || arg === '-h')
}

function overview(argv: readonly string[], io: Io): number {
  const [first = '--help'] = argv
  const group = TABLE.filter(({ name }) => name.startsWith(`${first} `))
  if (group.length === 0 && first !== '--help' && first !== '-h' && first !== 'help')
    throw usage(`“${first}”: there is no such command; salus --help lists them`)
  const rows = group.length > 0 ? group : TABLE
  const width = Math.max(...rows.map(({ name }) => name.length))
  io.out(
    [
      'Usage: salus COMMAND [flags]',
      '',
      ...rows.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
      '',
      'salus COMMAND --help shows flags and examples.',
      '',
    ].join('\n'),
  )
  return group.length > 0 && argv.length === 1 ? 2 : argv.length === 0 ? 2 : 0
}

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, ' ')

export type { Command }
