import { type Random, readHeader, wrapKey } from '@salus/core'
import type { CustodyStore } from './custody/custody-store.ts'
import type { BatchRow, OwnerRow, VersionRow } from './custody/rows.ts'
import type { ResourceCompartment } from './fhir/index.ts'
import { type BatchKey, type CompartmentTarget, openBatch } from './ingest/seal-version.ts'
import type { RecordReader } from './record-reader.ts'

/** Versions that share one encapsulation (protocol §2, unclaimed patient). */
const WRAPS_PER_BATCH = 1_000

export interface OwnerWrapParts {
  readonly custody: CustodyStore
  readonly reader: RecordReader
  readonly chainId: Uint8Array
  readonly random: Random
  target(owner: OwnerRow, compartment: ResourceCompartment): CompartmentTarget | undefined
}

/**
 * Gives an owner her own way into every version that this organisation can read: at enrolment, and again under new
 * epochs after a claim or an erasure. One encapsulation per compartment and 1,000 versions. All in one transaction, so
 * she never finds half of her record. What only she can read keeps its wraps: nobody else could make them again.
 * @returns how many versions were wrapped
 */
export async function wrapForOwner(
  parts: OwnerWrapParts,
  owner: OwnerRow,
  { everything }: { readonly everything: boolean },
): Promise<number> {
  const { custody, reader, chainId, random } = parts
  const open = new Map<ResourceCompartment, { key: BatchKey; used: number }>()
  const batches: BatchRow[] = []
  const wraps: {
    oid: Uint8Array
    batch: Uint8Array
    ownerWrap: Uint8Array
    comp: Uint8Array
    epoch: number
  }[] = []
  const unwrapped: Uint8Array[] = []
  for (const row of custody.versions(owner.owner)) {
    if (!needsWrap(row, everything)) continue
    const { compartment } = reader.labels(row)
    let batch = open.get(compartment)
    if (batch === undefined || batch.used >= WRAPS_PER_BATCH) {
      const target = parts.target(owner, compartment)
      if (target === undefined) {
        unwrapped.push(row.oid)
        continue
      }
      const key = openBatch(target, { chainId, random })
      batch = { key, used: 0 }
      open.set(compartment, batch)
      batches.push({ batch: key.batch, owner: owner.owner, comp: key.comp, epoch: key.epoch, enc: key.enc })
    }
    batch.used += 1
    const { dek, object } = await reader.dataKey(row)
    const { batch: id, key, comp, epoch } = batch.key
    const { headerHash } = readHeader(object)
    const ownerWrap = wrapKey({ kek: key, dek, oid: row.oid, headerHash, use: 'owner', random })
    wraps.push({ oid: row.oid, batch: id, ownerWrap, comp, epoch })
  }
  custody.sql.transaction(() => {
    custody.addBatches(batches)
    for (const oid of unwrapped) custody.clearOwnerWrap(oid)
    for (const { oid, ...wrap } of wraps) custody.setOwnerWrap(oid, wrap)
    custody.removeUnusedBatches(owner.owner)
  })
  return wraps.length
}

function needsWrap(row: VersionRow, everything: boolean): boolean {
  return row.custodyWrap !== undefined && (everything || row.ownerWrap === undefined)
}
