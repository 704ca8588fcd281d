import { AppError, instantOf } from '@salus/core'
import type { Clock } from '@salus/host'
import type { CustodyStore } from '../custody/custody-store.ts'
import type { OwnerKeys } from '../owner-keys.ts'
import type { RecordReader } from '../record-reader.ts'
import { type ArchiveVersion, archiveText, MAX_ARCHIVE_CHARACTERS } from './archive-format.ts'
import { keptReceipts } from './kept-receipts.ts'

export interface ExportParts {
  readonly org: string
  readonly chainId: Uint8Array
  readonly custody: CustodyStore
  readonly reader: RecordReader
  readonly keys: OwnerKeys
  readonly clock: Clock
  /** This organisation's receipts for the owner, as receipt files. */
  readonly receiptsOf: (owner: Uint8Array) => Promise<readonly unknown[]>
}

/**
 * Everything that this organisation can read of an owner, as the text of one archive. What she made on her device is
 * not in it: only she can add it. Restricted versions are not in it: they are kept for the law alone. Nor are emergency
 * summaries: whoever holds the record makes its own.
 * Throws AppError `TOO_LARGE`.
 */
export async function exportArchive(
  parts: ExportParts,
  owner: Uint8Array,
): Promise<{ text: string; versions: number }> {
  const { org, chainId, custody, reader, keys, clock, receiptsOf } = parts
  const versions: ArchiveVersion[] = []
  let size = 0
  for (const row of custody.versions(owner)) {
    if (row.custodyWrap === undefined || row.state === 'restricted') continue
    if (reader.labels(row).compartment === 'emergency') continue
    const { json, labels, prev } = await reader.open(row)
    size += json.length
    if (size > MAX_ARCHIVE_CHARACTERS / 3)
      throw new AppError('TOO_LARGE', 'archive: this record is too large for one file; export it in parts')
    versions.push({
      recordId: labels.recordId,
      version: row.version,
      current: row.current,
      ...(labels.deleted === true ? { deleted: true } : {}),
      origin: labels.origin ?? org,
      oid: labels.originOid ?? row.oid,
      ...(prev === undefined ? {} : { prev }),
      json,
      digest: labels.digest,
      source: labels.source,
      salt: labels.originSalt ?? labels.salt,
      leafIndex: labels.originLeaf ?? row.leafIndex,
    })
  }
  const kept = versions.length === 0 ? [] : keptReceipts(owner, { custody, key: keys.custodyKey(owner) })
  const receipts = [...kept, ...(await receiptsOf(owner))]
  const text = archiveText({ chain: chainId, made: instantOf(clock.now()), versions, receipts })
  return { text, versions: versions.length }
}
