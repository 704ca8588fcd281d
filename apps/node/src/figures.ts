import type { AuditTrail } from '@salus/audit'
import type { Disk } from '@salus/host'
import type { FactLog } from './fact-log.ts'
import type { LedgerPart } from './ledger-part.ts'
import type { RecordsPart } from './records-part.ts'
import { PATHS, type Stores } from './stores.ts'

/** Counts and allocated bytes of one node, by store. */
export async function figuresOf(parts: {
  readonly stores: Stores
  readonly disk: Disk
  readonly records: RecordsPart
  readonly trail: AuditTrail
  readonly factLog: FactLog
  readonly ledger: LedgerPart
}): Promise<Readonly<Record<string, number>>> {
  const { disk, records, trail, factLog, ledger, stores } = parts
  const bytes: Record<string, number> = {}
  for (const [name, path] of Object.entries(PATHS)) bytes[`bytes.${name}`] = await allocated(disk, path)
  const total = Object.values(bytes).reduce((sum, one) => sum + one, 0)
  return {
    versions: records.custody.countVersions(),
    owners: records.custody.owners().length,
    objects: stores.vault.stats().objects,
    events: trail.count(),
    logSize: factLog.tiles.size,
    ledgerHeight: ledger.engine.head().height,
    ...bytes,
    'bytes.total': total,
  }
}

/** Allocated bytes of a file or of everything below a directory, with SQLite's side files. */
async function allocated(disk: Disk, path: string): Promise<number> {
  const entries = await disk.list(path).catch(() => [] as string[])
  let sum = 0
  for (const entry of entries) sum += await allocated(disk, `${path}/${entry.replace(/\/$/, '')}`)
  for (const file of [path, `${path}-wal`, `${path}-shm`])
    sum += (await disk.stat(file).catch(() => undefined))?.allocatedBytes ?? 0
  return sum
}
