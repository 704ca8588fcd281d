import { AppError, instantOf } from '@salus/core'
import { decodeBlockLeaf, decodeGenesis, type Genesis } from '@salus/ledger'
import { decodeReceipt, type Receipt, type ReceiptCheck, type ReceiptStatus, verifyReceipt } from '@salus/log'
import { type Args, type Command, usage } from '../command.ts'
import { judgedNow } from '../demo-network.ts'
import { readGenesisId, showId } from '../genesis-id.ts'
import { type Io, printJson, readFile } from '../io.ts'

/** How far a block's time may be ahead of the clock it is judged by. */
const AHEAD_MAX_MS = 10 * 60_000

const STATUSES = ['valid', 'not-witnessed', 'logged-not-yet-anchored'] as const

/** What each status means, in plain words. */
const MEANING: Readonly<Record<ReceiptStatus, string>> = {
  valid: 'VALID. It happened as stated; the network and an outside witness have signed the history it is in',
  'not-witnessed':
    'NOT WITNESSED, which is not valid. Every check holds, but no outside witness has signed this history; the organisations together could show somebody else another one',
  'logged-not-yet-anchored':
    'LOGGED, NOT YET ANCHORED. It is in the organisation’s signed log; the ledger does not vouch for that log’s state yet. Ask for the receipt again in a moment',
  invalid: 'NOT VALID. Do not rely on it',
}

interface Verdict {
  readonly file: string
  readonly status: ReceiptStatus
  readonly accepted: boolean
  readonly meaning: string
  readonly checks: readonly ReceiptCheck[]
}

export const verify: Command = {
  name: 'verify',
  summary: 'Check receipts offline, from the genesis id alone',
  positionals: 'FILE…',
  positionalsMax: 10_000,
  about:
    'Reads *.receipt.json and nothing else: no network, no trust in whoever gave the file. All that is taken on trust\nis the genesis id. Exit code 0 only if every receipt is valid; “not witnessed” and “logged, not yet anchored” count\nas failures unless --accept names them.',
  flags: {
    genesis: { value: 'ID', doc: 'Genesis id of the network, 64 hex digits (also SALUS_GENESIS)' },
    accept: { value: 'STATUS', doc: 'Let this status pass too', multiple: true, values: STATUSES },
    now: { value: 'MS', doc: 'Time to judge by; for demonstration networks only' },
    quiet: { doc: 'One line per file' },
  },
  examples: [
    'salus verify visit.receipt.json --genesis 7d0c…e1',
    'salus verify *.receipt.json --genesis 7d0c…e1 --json',
    'salus verify new.receipt.json --genesis 7d0c…e1 --accept logged-not-yet-anchored',
  ],
  async run(args, io) {
    const genesis = args.text('genesis') ?? io.env['SALUS_GENESIS']
    if (args.positionals.length === 0) throw usage('FILE: name at least one *.receipt.json')
    if (genesis === undefined) throw usage('--genesis: is needed; the network publishes its id')
    const genesisId = readGenesisId(genesis)
    const accept = new Set<ReceiptStatus>(['valid', ...(args.all('accept') as ReceiptStatus[])])
    const verdicts: Verdict[] = []
    for (const file of args.positionals) {
      const verdict = await verdictOf(file, genesisId, accept, args, io)
      verdicts.push(verdict)
      if (!args.is('json')) io.out(describe(verdict, args.is('quiet')))
    }
    const ok = verdicts.every(({ accepted }) => accepted)
    if (args.is('json')) printJson(io, { ok, genesis: showId(genesisId), receipts: verdicts })
    else if (verdicts.length > 1)
      io.out(
        `${verdicts.filter(({ accepted }) => accepted).length} of ${verdicts.length} receipts accepted\n`,
      )
    return ok ? 0 : 1
  },
}

async function verdictOf(
  file: string,
  genesisId: Uint8Array,
  accept: ReadonlySet<ReceiptStatus>,
  args: Args,
  io: Io,
): Promise<Verdict> {
  let status: ReceiptStatus = 'invalid'
  let checks: readonly ReceiptCheck[]
  try {
    const receipt = decodeReceipt(await readFile(io, file, 1 << 20))
    const verdict = verifyReceipt(receipt, { genesisId })
    const time = timeCheck(receipt, args.text('now'), io.clock.now())
    checks = [...verdict.detail, ...(verdict.status === 'invalid' || time === undefined ? [] : [time])]
    status = time?.holds === false ? 'invalid' : verdict.status
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'USAGE' || error.code === 'NOT_A_DEMO') throw error
    checks = [{ check: 'file', holds: false, found: `${error.code}: ${error.message}` }]
  }
  return { file, status, accepted: accept.has(status), meaning: MEANING[status], checks }
}

/** A block from the future of the clock it is judged by is not believed. */
function timeCheck(
  receipt: Receipt,
  nowFlag: string | undefined,
  machineMs: number,
): ReceiptCheck | undefined {
  const nowMs = judgedNow(nowFlag, genesisIn(receipt), machineMs)
  if (receipt.block === undefined) return undefined
  const { timeMs } = decodeBlockLeaf(receipt.block.leaf)
  const holds = timeMs - nowMs <= AHEAD_MAX_MS
  const shown = instantOf(timeMs)
  return {
    check: 'time',
    holds,
    found: holds ? `block of ${shown}` : `the block says ${shown}, the clock here ${instantOf(nowMs)}`,
  }
}

function genesisIn({ keys }: Receipt): Genesis | undefined {
  const bytes = keys.find((hint) => hint.genesis !== undefined)?.genesis
  try {
    return bytes && decodeGenesis(bytes)
  } catch {
    return undefined
  }
}

function describe({ file, meaning, checks }: Verdict, quiet: boolean): string {
  const failed = checks.find(({ holds }) => !holds)
  if (quiet)
    return `${file}: ${meaning}${failed === undefined ? '' : ` (${failed.check}: ${failed.found})`}\n`
  const width = Math.max(...checks.map(({ check }) => check.length))
  const lines = checks.map(
    ({ check, holds, found }) => `  ${holds ? 'ok    ' : 'FAILED'}  ${check.padEnd(width)}  ${found}`,
  )
  return `${file}\n${lines.join('\n')}\n  ${meaning}\n`
}
