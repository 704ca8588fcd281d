import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MessageChannel } from 'node:worker_threads'
import { figures } from './figures.ts'
import type { BenchContext, Figure } from './harness.ts'
import { machine } from './machine.ts'
import { figureLines, machineLine, misses, type Ran } from './table.ts'

const USAGE = `npm run bench [-- [--json] [--dir DIR] [--data DIR] [NAME…]]

  NAME      figures to run, all of them when left out: ${Object.keys(figures).join(', ')}
  --json    one JSON document on standard output, nothing else there (npm run -s bench -- --json)
  --dir     where to write while measuring (default: the system's temporary directory); must be a real disk
  --data    public data sets (default: ../shared/data beside the repository); where absent, samples are used

Exit code 0 when every figure ran and reached its target, 1 otherwise, 2 for a wrong command line.
`

const repoDir = fileURLToPath(new URL('../../..', import.meta.url))

interface Options {
  readonly names: readonly string[]
  readonly json: boolean
  readonly dir: string
  readonly dataDir: string
}

function options(args: readonly string[]): Options | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        dir: { type: 'string', default: tmpdir() },
        data: { type: 'string', default: join(repoDir, '..', 'shared', 'data') },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return ''
    const unknown = positionals.filter((name) => figures[name] === undefined)
    if (unknown.length > 0) return `no figure is called ${unknown.join(', ')}`
    const names = positionals.length > 0 ? positionals : Object.keys(figures)
    return { names, json: values.json, dir: resolve(values.dir), dataDir: resolve(values.data) }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function runOne(figure: Figure, context: BenchContext): Promise<Ran> {
  const { name, title } = figure
  try {
    return { figure: { name, title }, result: await figure.run(context) }
  } catch (error) {
    // The other figures still run; the exit code tells.
    if (error instanceof Error) process.stderr.write(`${error.stack}\n`)
    return { figure: { name, title }, error: error instanceof Error ? error.message : String(error) }
  }
}

async function main(): Promise<number> {
  const chosen = options(process.argv.slice(2))
  if (typeof chosen === 'string') {
    process.stderr.write(chosen === '' ? USAGE : `${chosen}\n\n${USAGE}`)
    return chosen === '' ? 0 : 2
  }
  const { names, json, dir, dataDir } = chosen
  const print = (line: string): void => void (json ? process.stderr : process.stdout).write(`${line}\n`)
  mkdirSync(dir, { recursive: true })
  const here = machine(dir)
  print(machineLine(here))
  const ran: Ran[] = []
  for (const name of names) {
    const figure = await figures[name]?.()
    if (figure === undefined) continue
    const work = mkdtempSync(join(dir, `salus-bench-${name}-`))
    try {
      const one = await runOne(figure, { dir: work, repoDir, dataDir })
      ran.push(one)
      print('')
      for (const line of figureLines(one)) print(line)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  const missed = misses(ran)
  print('')
  print(missed.length === 0 ? 'every target met' : 'missed:')
  for (const one of missed) print(`  ${one}`)
  if (json) {
    const document = {
      ok: missed.length === 0,
      machine: here,
      figures: ran.map(({ figure, result, error }) => ({
        name: figure.name,
        title: figure.title,
        ...(error === undefined ? {} : { error }),
        measurements: result?.measurements ?? [],
        notes: result?.notes ?? [],
      })),
      missed,
    }
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`)
  }
  return missed.length === 0 ? 0 : 1
}

// Clocks and idle workers do not keep a process alive; an open port does.
const { port1 } = new MessageChannel()
port1.on('message', () => {})
process.exitCode = await main()
port1.close()
