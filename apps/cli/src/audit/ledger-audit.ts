import { AppError, decode, equal, toHex } from '@salus/core'
import { auditState, type Entry, type StateStore } from '@salus/ledger'
import { readLmdbStore } from '@salus/ledger/lmdb'
import type { Membership } from '@salus/log'
import { type Finding, Findings, RESTORE } from './finding.ts'
import { type Anchor, checkGenesis, Replay } from './replay.ts'

export interface LedgerJob {
  /** Absolute folder of the LMDB files. */
  readonly path: string
  /** How findings name it. */
  readonly shown: string
  readonly genesisId: Uint8Array | undefined
}

/** What the replay of a ledger's blocks gives to the other parts of an audit. */
export interface LedgerAudit {
  readonly chainId: Uint8Array
  readonly name: string
  readonly height: number
  readonly timeMs: number
  /** Of every block that could be replayed, genesis first. */
  readonly leaves: readonly Uint8Array[]
  readonly anchors: readonly Anchor[]
  readonly logKeys: ReadonlyMap<string, readonly Uint8Array[]>
  readonly membership: Membership
  readonly figures: {
    readonly transactions: number
    readonly signatures: number
    readonly rows: number
    readonly pages: number
  }
  readonly findings: readonly Finding[]
  readonly notes: readonly string[]
}

/** Findings of one kind after which the rest is only counted. */
const SHOWN_MAX = 20
const PROGRESS_BLOCKS = 2_000

/**
 * Replays every block of a ledger's folder from genesis, with every signature, and compares all that the folder holds
 * with what the blocks give: outcomes, rows, tree pages, past values. Throws AppError when there is no ledger to read.
 */
export function auditLedger(job: LedgerJob, progress: (line: string) => void): LedgerAudit {
  const stored = readLmdbStore(job.path)
  try {
    return audited(stored, job, progress)
  } finally {
    stored.close()
  }
}

function audited(
  stored: StateStore & { readonly chainId: Uint8Array | undefined },
  { shown, genesisId }: LedgerJob,
  progress: (line: string) => void,
): LedgerAudit {
  const found = new Findings()
  const file = `${shown}/data.mdb`
  const genesis = stored.block(0)
  const head = stored.height()
  if (genesis === undefined || head === undefined)
    throw new AppError('STORE_NONE', `${file}: holds no blocks; name the data directory of an organisation`)
  checkGenesis(genesis, genesisId ?? stored.chainId)
  const replay = new Replay(genesis)
  compareBytes(found, file, 'the outcome of genesis', stored.outcome(0), replay.store.outcome(0))
  for (let height = 1; height <= head; height++) {
    const bytes = stored.block(height)
    if (bytes === undefined) {
      found.add(file, `block ${height} of ${head} is missing`, RESTORE)
      break
    }
    try {
      replay.execute(bytes)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      found.add(file, `block ${height} is not a block of this ledger (${error.message})`, RESTORE)
      break
    }
    if (
      !compareBytes(
        found,
        file,
        `the outcome of block ${height}`,
        stored.outcome(height),
        replay.store.outcome(height),
      )
    )
      break
    if (height % PROGRESS_BLOCKS === 0) progress(`replayed ${height} of ${head} blocks`)
  }
  const { ledger } = replay
  let pages = 0
  let rows = 0
  if (ledger.head.height === head) {
    progress(`comparing the state at block ${head}`)
    rows = compareRows(found, file, stored, replay.store)
    pages = comparePages(found, file, stored, replay)
    comparePast(found, file, stored, replay.store, head)
    const state = auditState(stored, ledger.head.stateRoot)
    // Said already where a row or page was compared; this is the root recomputed from the rows alone.
    if (found.findings.length === 0)
      for (const { message } of state.findings.slice(0, SHOWN_MAX)) found.add(file, message, RESTORE)
  } else
    found.note(`${file}: the state could not be compared, because the blocks end at ${ledger.head.height}`)
  return {
    chainId: ledger.chainId,
    name: ledger.genesis.name,
    height: head,
    timeMs: ledger.head.timeMs,
    leaves: replay.leaves,
    anchors: replay.anchors,
    logKeys: replay.logKeys,
    membership: replay.membership,
    figures: { transactions: replay.transactions, signatures: replay.signatures, rows, pages },
    findings: found.findings,
    notes: found.notes,
  }
}

function compareBytes(
  found: Findings,
  file: string,
  what: string,
  stored: Uint8Array | undefined,
  replayed: Uint8Array | undefined,
): boolean {
  if (stored !== undefined && replayed !== undefined && same(stored, replayed)) return true
  found.add(file, `${what} is ${stored === undefined ? 'missing' : 'not what the blocks give'}`, RESTORE)
  return false
}

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && equal(a, b)

function compareRows(found: Findings, file: string, stored: StateStore, replayed: StateStore): number {
  const wrong = counted(found, file, 'rows of the state')
  const all = new Uint8Array(0)
  let rows = 0
  for (const [key, value] of replayed.scan(all)) {
    rows++
    const held = stored.get(key)
    if (held === undefined) wrong(`row ${rowName(key)} is missing`)
    else if (!same(held, value)) wrong(`row ${rowName(key)} is not what the blocks give`)
  }
  for (const [key] of stored.scan(all))
    if (replayed.get(key) === undefined) wrong(`row ${rowName(key)} is there, and no block made it`)
  wrong()
  return rows
}

function comparePages(found: Findings, file: string, stored: StateStore, replay: Replay): number {
  const wrong = counted(found, file, 'pages of the state tree')
  let pages = 0
  for (const key of replay.pageKeys) {
    const page = replay.store.node(key)
    // Dropped with its height, here and there.
    if (page === undefined) continue
    pages++
    const held = stored.node(key)
    if (held === undefined) wrong(`page ${toHex(key)} of the state tree is missing`)
    else if (!same(held, page)) wrong(`page ${toHex(key)} of the state tree is not what the blocks give`)
  }
  wrong()
  return pages
}

function comparePast(
  found: Findings,
  file: string,
  stored: StateStore,
  replayed: StateStore,
  head: number,
): void {
  const wrong = counted(found, file, 'past values')
  for (let height = 0; height <= head; height++) {
    const held = attempt(() => stored.replaced(height))
    if (held === undefined || !sameEntries(held, replayed.replaced(height)))
      wrong(`the values that block ${height} replaced are not what the blocks give`)
  }
  wrong()
}

function sameEntries(a: readonly Entry[], b: readonly Entry[]): boolean {
  return (
    a.length === b.length &&
    a.every(([key, value], i) => same(key, b[i]?.[0] ?? key.subarray(1)) && same(value, b[i]?.[1] ?? key))
  )
}

/** Adds findings of one kind up to a number; called without text it tells how many more there were. */
function counted(found: Findings, file: string, kind: string): (what?: string) => void {
  let count = 0
  return (what) => {
    if (what === undefined) {
      if (count > SHOWN_MAX) found.add(file, `${count - SHOWN_MAX} more ${kind} are wrong`, RESTORE)
    } else if (++count <= SHOWN_MAX) found.add(file, what, RESTORE)
  }
}

function rowName(key: Uint8Array): string {
  const parts = attempt(() => decode(key))
  const [contract, table] = Array.isArray(parts) ? parts : []
  return `${typeof contract === 'string' && typeof table === 'string' ? `${contract}/${table} ` : ''}${toHex(key)}`
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
