import { AppError, toHex } from '@salus/core'
import type { Disk } from '@salus/host'
import { childTask } from '@salus/host/system'
import {
  auditIndex,
  auditObjects,
  auditRows,
  NOTHING_TAKEN,
  RESTORE_CUSTODY,
  readCustody,
} from './custody-audit.ts'
import { type Finding, Findings } from './finding.ts'
import { LAYOUT } from './layout.ts'
import type { LedgerAudit, LedgerJob } from './ledger-audit.ts'
import { auditBlockLog, auditFactLog, type HeldNote, orgOf, readLogHead } from './log-audit.ts'

export interface AuditReport {
  readonly ok: boolean
  /** The data directory or the node's address. */
  readonly of: string
  readonly org: string | undefined
  /** Genesis id, hex. */
  readonly chain: string | undefined
  readonly network: string | undefined
  readonly height: number | undefined
  readonly figures: Readonly<Record<string, number>>
  readonly notes: readonly string[]
  readonly findings: readonly Finding[]
}

export interface DirectoryAudit {
  /** Absolute path. */
  readonly folder: string
  readonly disk: Disk
  readonly genesisId: Uint8Array | undefined
  readonly held: readonly HeldNote[]
  readonly progress: (line: string) => void
}

/** Recomputes everything in one organisation's data directory and changes nothing in it. */
export async function auditDirectory({
  folder,
  disk,
  genesisId,
  held,
  progress,
}: DirectoryAudit): Promise<AuditReport> {
  const found = new Findings()
  const figures: Record<string, number> = {}
  // In this order a node that goes on working adds no false findings: what it writes last is read first.
  const blocksBefore = await readLogHead(disk, LAYOUT.blockLog)
  progress('reading custody')
  const custody = readCustody(folder, found)
  progress('replaying the ledger')
  const ledger = await ledgerOf(
    { path: `${folder}/${LAYOUT.ledger}`, shown: LAYOUT.ledger, genesisId },
    found,
    progress,
  )
  const factHead = await readLogHead(disk, LAYOUT.log)
  let org: string | undefined
  let tombstones: readonly Uint8Array[] = []
  if (ledger !== undefined) {
    found.findings.push(...ledger.findings)
    for (const note of ledger.notes) found.note(note)
    Object.assign(figures, { blocks: ledger.height, ...ledger.figures })
    org = orgOf(ledger.chainId, factHead?.origin)
    if (genesisId === undefined)
      found.note(
        'genesis id taken from the directory itself; give --genesis to audit against the one you trust',
      )
    progress('recomputing the block log')
    const sizeBefore = blocksBefore?.size ?? 0
    figures['blockLogLeaves'] = await auditBlockLog({ disk, ledger, org, sizeBefore, held, found })
    progress('recomputing the fact log')
    const facts = await auditFactLog({ disk, ledger, org, held, found })
    figures['logLeaves'] = facts.size
    tombstones = facts.tombstones
  } else found.note('the logs could not be checked against the ledger, because the ledger cannot be read')
  const rows = custody && { ...custody, tombstones: [...custody.tombstones, ...tombstones] }
  progress('hashing every object of the vault')
  const vault = await auditObjects(disk, rows, found)
  Object.assign(figures, { objects: vault.objects, objectBytes: vault.bytes })
  if (custody === NOTHING_TAKEN && vault.objects > 0)
    found.add(LAYOUT.custody, 'is missing beside objects in the vault', RESTORE_CUSTODY)
  if (rows !== undefined) {
    figures['recordVersions'] = rows.versions.length
    if (figures['logLeaves'] !== undefined) auditRows(rows, figures['logLeaves'], found)
  }
  auditIndex(folder, found)
  found.note(
    `${LAYOUT.keystore}, and wraps and labels in custody: sealed, so a change inside shows only when they are opened`,
  )
  return {
    ok: found.findings.length === 0,
    of: folder,
    org,
    chain: ledger && toHex(ledger.chainId),
    network: ledger?.name,
    height: ledger?.height,
    figures,
    notes: found.notes,
    findings: found.findings,
  }
}

async function ledgerOf(
  job: LedgerJob,
  found: Findings,
  onProgress: (line: string) => void,
): Promise<LedgerAudit | undefined> {
  try {
    return await childTask<LedgerJob, LedgerAudit>(new URL('./ledger-child.ts', import.meta.url), job, {
      onProgress,
    })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    // Asked for the wrong thing: that is no finding about the directory.
    if (error.code === 'OTHER_CHAIN' && job.genesisId !== undefined) throw error
    const what =
      error.code === 'CHILD_LOST'
        ? `LMDB cannot read it: its structure is damaged (${String(error.data['signal'] ?? error.data['exitCode'])})`
        : `${error.message} (${error.code})`
    found.add(
      `${job.shown}/data.mdb`,
      what,
      'restore a backup, or delete the folder and take the blocks again from another node',
    )
    return undefined
  }
}
