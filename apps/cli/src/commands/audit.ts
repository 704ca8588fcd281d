import { fromUtf8 } from '@salus/core'
import type { AuditReport } from '../audit/audit-directory.ts'
import type { HeldNote } from '../audit/log-audit.ts'
import { type Command, usage } from '../command.ts'
import { readGenesisId } from '../genesis-id.ts'
import { type Io, pathOf, printJson, readFile } from '../io.ts'

export const audit: Command = {
  name: 'audit',
  summary: 'Recompute everything in a data directory, or of a running node, trusting nothing',
  positionals: 'DIR|URL',
  positionalsMax: 1,
  about:
    'DIR: one organisation’s data directory, best a stopped copy; nothing in it is changed and no lock is taken. Replays\nevery block from genesis with every signature, compares state, tree and logs with what comes out, holds the fact log\nagainst its anchors on the ledger, hashes every object and compares custody with them.\nURL: fetches blocks and tiles from a node and recomputes the same from outside.\nWhat an organisation never logged, and what lies sealed in its keystore, no audit sees. Exit code 1 on any finding.',
  flags: {
    genesis: { value: 'ID', doc: 'Genesis id that you trust (also SALUS_GENESIS)' },
    held: {
      value: 'FILE',
      doc: 'A signed checkpoint that somebody else holds (a witness’s *.last)',
      multiple: true,
    },
    now: { value: 'MS', doc: 'Time to judge by; for demonstration networks only' },
    quiet: { doc: 'No progress on standard error' },
  },
  examples: [
    'salus audit /var/lib/salus --genesis 7d0c…e1',
    'salus audit /var/lib/salus --held witness/state/5e…c1.last',
    'salus audit https://node.example --genesis 7d0c…e1 --json',
  ],
  async run(args, io) {
    const [target] = args.positionals
    if (target === undefined) throw usage('DIR|URL: name a data directory or a node')
    const genesis = args.text('genesis') ?? io.env['SALUS_GENESIS']
    const genesisId = genesis === undefined ? undefined : readGenesisId(genesis)
    const held: HeldNote[] = []
    for (const file of args.all('held'))
      held.push({ file, note: fromUtf8(await readFile(io, file, 256 * 1024)) })
    const progress = args.is('quiet') ? () => {} : (line: string) => io.err(`salus audit: ${line}\n`)
    const common = { genesisId, held, progress, now: args.text('now') }
    const report = /^https?:\/\//.test(target)
      ? await (await import('../audit/audit-node.ts')).auditNode({
          ...common,
          url: target,
          network: io.network,
          nowMs: io.clock.now(),
        })
      : await directory(io, pathOf(io, target), target, common)
    if (args.is('json')) printJson(io, report)
    else io.out(describe(report))
    return report.ok ? 0 : 1
  },
}

async function directory(
  io: Io,
  folder: string,
  shown: string,
  options: { genesisId: Uint8Array | undefined; held: HeldNote[]; progress: (line: string) => void },
): Promise<AuditReport> {
  const { auditDirectory } = await import('../audit/audit-directory.ts')
  const { existsSync } = await import('node:fs')
  if (!existsSync(folder)) throw usage(`${shown}: there is no such directory`)
  return auditDirectory({ folder, disk: io.disk(folder), ...options })
}

function describe({ ok, of, org, chain, network, height, figures, notes, findings }: AuditReport): string {
  const lines = [
    `${of}${org === undefined ? '' : `, ${org}`}${network === undefined ? '' : ` in “${network}”`}`,
    ...(chain === undefined ? [] : [`  genesis id      ${chain}`]),
    ...(height === undefined ? [] : [`  blocks          ${height}`]),
    ...Object.entries(figures)
      .filter(([name]) => name !== 'blocks')
      .map(([name, value]) => `  ${name.padEnd(14)}  ${value}`),
    ...notes.map((note) => `  note: ${note}`),
    ...findings.map(({ where, what, mend }) => `FOUND ${where}: ${what}. Mend: ${mend}`),
    ok ? 'Everything fits: nothing was found.' : `${findings.length} findings.`,
  ]
  return `${lines.join('\n')}\n`
}
