import {
  AppError,
  bytes,
  equal,
  type Infer,
  object,
  objectAddress,
  type Random,
  readHeader,
  uint,
} from '@salus/core'
import type { ObjectStore } from '@salus/vault'
import type { CustodyStore } from '../custody/custody-store.ts'
import type { BatchRow } from '../custody/rows.ts'
import type { Ingest } from '../ingest/ingest.ts'
import type { LeafSink } from '../ingest/version-writer.ts'
import { type OwnerKeys, ridOf } from '../owner-keys.ts'
import { sealLabels } from '../sealed-labels.ts'

/** Largest object that a device stores. */
export const MAX_OWN_OBJECT_BYTES = 8 * 1024 * 1024

const encapsulation = {
  batch: bytes('Id of the encapsulation', { length: 16 }),
  enc: bytes('Encapsulation', { length: 1_120 }),
}

/** A version that a device sealed: this organisation stores it and cannot read it. */
export const ownVersionForm = object('A record version made and sealed by its owner', {
  object: bytes('Header and ciphertext', { min: 64, max: MAX_OWN_OBJECT_BYTES }),
  record: bytes('Opaque id of the record, the same for its versions', { length: 16 }),
  version: uint('From 1, rising by 1'),
  ...encapsulation,
  wrap: bytes('Data key for the owner', { length: 60 }),
  leaf: bytes('Leaf of kind 1, whose salt only the owner has', { length: 32 }),
})
export type OwnVersionForm = Infer<typeof ownVersionForm>

/** A new wrap of a version that only its owner can read: after an epoch changed. */
export const rewrapForm = object('A wrap made again', {
  oid: bytes('Version', { length: 16 }),
  ...encapsulation,
  comp: bytes('Compartment', { length: 16 }),
  epoch: uint('Epoch'),
  wrap: bytes('Data key for the owner', { length: 60 }),
})
export type Rewrap = Infer<typeof rewrapForm>

export interface OwnRecordParts {
  readonly custody: CustodyStore
  readonly vault: Pick<ObjectStore, 'putMany'>
  readonly log: LeafSink
  readonly keys: OwnerKeys
  readonly ingest: Ingest
  readonly ridKey: Uint8Array
  readonly random: Random
}

/**
 * Stores what an owner made on her device: object, wrap and leaf, no custody wrap. Nothing in the row says what it is;
 * the labels are stand-ins. Throws AppError `OWNER_ERASED`, `OBJECT`, `CONFLICT` (another newest version).
 */
export async function storeOwnVersion(
  { custody, vault, log, keys, ingest, ridKey, random }: OwnRecordParts,
  owner: Uint8Array,
  form: OwnVersionForm,
): Promise<{ readonly oid: Uint8Array; readonly leafIndex: number }> {
  const { header } = readHeader(form.object)
  const { oid, comp, epoch } = header
  const address = objectAddress(form.object)
  return ingest.exclusively(async () => {
    const row = custody.owner(owner)
    if (row === undefined || row.status === 'restricted' || row.status === 'erased')
      throw new AppError('OWNER_ERASED', 'owner: this record was erased; enrol again to add to it')
    const rid = ridOf(ridKey, `~own ${form.record.join()} ${owner.join()}`)
    const held = custody.version(oid)
    if (held !== undefined && equal(held.address, address) && equal(held.owner, owner))
      return { oid, leafIndex: held.leafIndex }
    if (held !== undefined) throw new AppError('CONFLICT', 'object: its id is in use; draw a new one')
    if (form.version !== (custody.latestByRid(rid)?.version ?? 0) + 1)
      throw new AppError('CONFLICT', 'version: is not the next one of this record; read it again')
    await keys.ensure([owner])
    const nothing = new Uint8Array(32)
    const sealed = sealLabels(
      {
        recordId: '',
        version: form.version,
        type: '',
        compartment: 'patient-made',
        codes: [],
        source: nothing,
        digest: nothing,
        salt: nothing,
      },
      { key: keys.custodyKey(owner), oid, random },
    )
    const [{ index: leafIndex }] = await Promise.all([
      log.appendMany([form.leaf]),
      vault.putMany([{ address, bytes: form.object }]),
    ])
    custody.sql.transaction(() => {
      addBatch(custody, { batch: form.batch, owner, comp, epoch, enc: form.enc })
      const { batch, wrap: ownerWrap, version } = form
      const fresh = { oid, owner, rid, version, address, comp, epoch, batch, ownerWrap }
      custody.addVersions([{ ...fresh, custodyWrap: undefined, sealed, leafIndex, current: true }])
    })
    return { oid, leafIndex }
  })
}

/**
 * Replaces wraps that only the owner can make. The versions must be hers and unreadable here; the others this
 * organisation wraps itself, to her write card. Throws AppError `NOT_FOUND`.
 */
export async function replaceWraps(
  { custody, ingest }: Pick<OwnRecordParts, 'custody' | 'ingest'>,
  owner: Uint8Array,
  wraps: readonly Rewrap[],
): Promise<void> {
  await ingest.exclusively(async () => {
    for (const { oid } of wraps) {
      const row = custody.version(oid)
      if (row === undefined || !equal(row.owner, owner) || row.custodyWrap !== undefined)
        throw new AppError('NOT_FOUND', 'oid: is no version that you made here; list them again')
    }
    custody.sql.transaction(() => {
      for (const { oid, batch, enc, comp, epoch, wrap } of wraps) {
        addBatch(custody, { batch, owner, comp, epoch, enc })
        custody.setOwnerWrap(oid, { batch, ownerWrap: wrap, comp, epoch })
      }
      custody.removeUnusedBatches(owner)
    })
  })
}

/** One encapsulation serves many versions; a batch id that another one has is refused. */
function addBatch(custody: CustodyStore, row: BatchRow): void {
  const held = custody.batch(row.batch)
  if (held === undefined) custody.addBatches([row])
  else if (!equal(held.owner, row.owner) || !equal(held.enc, row.enc))
    throw new AppError('CONFLICT', 'batch: its id is in use; draw a new one')
}
