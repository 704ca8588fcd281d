import { parseArgs } from 'node:util'
import { AppError } from '@salus/core'
import type { Io } from './io.ts'

/** One flag: the same value parses, documents and completes it. */
export interface Flag {
  readonly doc: string
  /** What stands for its value in usage lines; without it the flag takes none. */
  readonly value?: string
  readonly short?: string
  /** May be given several times. */
  readonly multiple?: true
  /** The only values it takes. */
  readonly values?: readonly string[]
  readonly required?: true
}

export type Flags = Readonly<Record<string, Flag>>

/** What a person typed, checked against the flags. */
export interface Args {
  readonly positionals: readonly string[]
  text(flag: string): string | undefined
  all(flag: string): readonly string[]
  is(flag: string): boolean
}

/** A command; `run` resolves with the exit code: 0 ok, 1 something is wrong or failed, 2 wrong usage. */
export interface Command {
  /** `verify`, `log proof`. */
  readonly name: string
  /** One line. */
  readonly summary: string
  /** Positionals, as in a usage line. */
  readonly positionals?: string
  /** Most positionals; none unless told. */
  readonly positionalsMax?: number
  readonly flags: Flags
  /** Paragraphs between usage and flags. */
  readonly about?: string
  readonly examples: readonly string[]
  /** Flags that depend on what was typed, such as the fields of a contract's call. */
  moreFlags?(argv: readonly string[]): Promise<Flags>
  run(args: Args, io: Io): Promise<number>
}

const COMMON: Flags = {
  json: { doc: 'One JSON document on standard output, nothing else there' },
  help: { doc: 'This page', short: 'h' },
}

/** Flags of a command with those that every command has. */
export const flagsOf = (command: Command): Flags => ({ ...command.flags, ...COMMON })

export function usage(message: string): AppError {
  return new AppError('USAGE', message)
}

/** Reads a command's arguments. Throws AppError `USAGE` naming the flag. */
export function readArgs(command: Command, argv: readonly string[]): Args {
  const flags = flagsOf(command)
  let parsed: ReturnType<typeof parseArgs>
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(flags).map(([name, { value, short, multiple }]) => [
          name,
          {
            type: value === undefined ? 'boolean' : 'string',
            ...(short === undefined ? {} : { short }),
            ...(multiple === undefined ? {} : { multiple: true }),
          } as const,
        ]),
      ),
    })
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error)
    throw usage(`${reason}; see salus ${command.name} --help`)
  }
  const values = parsed.values as Readonly<
    Record<string, string | boolean | (string | boolean)[] | undefined>
  >
  const isHelp = values['help'] === true
  const all = (flag: string) => [values[flag] ?? []].flat().filter((one) => typeof one === 'string')
  for (const [name, flag] of Object.entries(flags)) {
    for (const one of all(name))
      if (flag.values !== undefined && !flag.values.includes(one))
        throw usage(`--${name}: must be one of ${flag.values.join(', ')}`)
    if (flag.required === true && values[name] === undefined && !isHelp)
      throw usage(`--${name}: is needed (${flag.doc}); see salus ${command.name} --help`)
  }
  const most = command.positionalsMax ?? 0
  if (parsed.positionals.length > most)
    throw usage(
      `“${parsed.positionals[most]}”: ${most === 0 ? 'nothing is taken besides flags' : `at most ${most} of ${command.positionals}`}; see salus ${command.name} --help`,
    )
  return {
    positionals: parsed.positionals,
    text: (flag) => all(flag).at(-1),
    all,
    is: (flag) => values[flag] === true,
  }
}

/** The page behind `--help`. */
export function helpOf(command: Command): string {
  const { name, summary, positionals, about, examples } = command
  const flags = Object.entries(flagsOf(command)).map(([flag, { doc, value, short, multiple, values }]) => {
    const left = `${short === undefined ? '' : `-${short}, `}--${flag}${value === undefined ? '' : ` ${value}`}`
    const right = `${doc}${values === undefined ? '' : `: ${values.join(', ')}`}${multiple === true ? ' (may be repeated)' : ''}`
    return [left, right] as const
  })
  const width = Math.max(...flags.map(([left]) => left.length))
  return [
    `salus ${name}: ${summary}`,
    '',
    `Usage: salus ${name}${positionals === undefined ? '' : ` ${positionals}`} [flags]`,
    ...(about === undefined ? [] : ['', about]),
    '',
    'Flags:',
    ...flags.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    '',
    'Examples:',
    ...examples.map((example) => `  ${example}`),
    '',
    'Exit codes: 0 all is well, 1 something is wrong or failed, 2 wrong usage.',
    '',
  ].join('\n')
}
