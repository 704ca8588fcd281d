import { basename, dirname } from 'node:path'
import {
  AppError,
  fromUtf8,
  parseCheckpoint,
  parseNote,
  parseVerifierKey,
  type VerifierKey,
} from '@salus/core'
import { verifyLog } from '@salus/log'
import { type Command, usage } from '../command.ts'
import { pathOf, printJson, readFile } from '../io.ts'

export const logVerify: Command = {
  name: 'log verify',
  summary: 'Recompute a whole log from its entries: every hash, the index, the signed root',
  positionals: 'DIR',
  positionalsMax: 1,
  about:
    'DIR is the folder of one log (log, ledger/blocks). --held takes checkpoints that others hold: the log must extend\neach of them, or it was rolled back or rewritten. salus audit finds keys and anchors by itself.',
  flags: {
    key: {
      value: 'VKEY',
      doc: 'Verifier key of the log, NAME+ID+KEY (salus key show prints it)',
      required: true,
    },
    held: { value: 'FILE', doc: 'A signed checkpoint that somebody else holds', multiple: true },
  },
  examples: [
    "salus log verify /var/lib/salus/log --key 'salus/7d0c…e1/st-anna+9f1a2b3c+AY…'",
    "salus log verify copy/log --key '…' --held yesterday.checkpoint --json",
  ],
  async run(args, io) {
    const [dir] = args.positionals
    if (dir === undefined) throw usage('DIR: name the folder of a log')
    let key: VerifierKey
    try {
      key = parseVerifierKey(args.text('key') ?? '')
    } catch (error) {
      throw usage(`--key: ${error instanceof AppError ? error.message : 'malformed'}`)
    }
    const held: string[] = []
    for (const file of args.all('held')) {
      const note = fromUtf8(await readFile(io, file, 256 * 1024))
      const { origin } = parseCheckpoint(parseNote(note).text)
      if (origin !== key.name) throw usage(`--held ${file}: is of the log ${origin}, not of ${key.name}`)
      held.push(note)
    }
    const folder = pathOf(io, dir)
    const name = basename(folder)
    const { ok, size, problems } = await verifyLog(io.disk(dirname(folder)), name, key, { held })
    if (args.is('json')) printJson(io, { ok, origin: key.name, size, problems })
    else {
      io.out(`${key.name}: ${size} leaves\n`)
      for (const { file, what } of problems) io.out(`FOUND ${file === '' ? name : file}: ${what}\n`)
      io.out(ok ? 'Every hash fits.\n' : `${problems.length} problems.\n`)
    }
    return ok ? 0 : 1
  },
}
