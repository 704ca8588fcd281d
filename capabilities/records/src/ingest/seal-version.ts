import {
  batchSender,
  encodeVersion,
  hmac,
  objectAddress,
  type Random,
  readHeader,
  sealObject,
  wrapKey,
} from '@salus/core'
import type { NewVersionRow } from '../custody/rows.ts'
import { type SealedLabels, sealLabels } from '../sealed-labels.ts'

/** A compartment's public key, as the owner's write card gives it. */
export interface CompartmentTarget {
  readonly comp: Uint8Array
  readonly epoch: number
  readonly publicKey: Uint8Array
}

/** One encapsulation to a compartment, used for all versions of a batch (protocol §3 step 2). */
export interface BatchKey {
  readonly batch: Uint8Array
  readonly comp: Uint8Array
  readonly epoch: number
  readonly enc: Uint8Array
  readonly key: Uint8Array
}

export function openBatch(
  target: CompartmentTarget,
  { chainId, random }: { chainId: Uint8Array; random: Random },
): BatchKey {
  const batch = random(16)
  const { enc, key } = batchSender({
    to: target.publicKey,
    chainId,
    comp: target.comp,
    epoch: target.epoch,
    batchId: batch,
    random,
  })
  return { batch, comp: target.comp, epoch: target.epoch, enc, key }
}

export interface VersionToSeal {
  readonly owner: Uint8Array
  readonly rid: Uint8Array
  readonly recordId: string
  readonly version: number
  readonly prev: Uint8Array | undefined
  readonly json: Uint8Array
  /** SHA-256 of `json`. */
  readonly digest: Uint8Array
  /** Whether it is what a reader of the record gets; false for older versions of an archive, and for deletions. */
  readonly current: boolean
  readonly labels: Omit<SealedLabels, 'recordId' | 'version' | 'digest' | 'salt'>
}

export interface SealedVersion {
  readonly oid: Uint8Array
  readonly owner: Uint8Array
  readonly recordId: string
  readonly version: number
  readonly object: { readonly address: Uint8Array; readonly bytes: Uint8Array }
  readonly leaf: Uint8Array
  /** The row, once the leaf's index is known. */
  row(leafIndex: number): NewVersionRow
}

/** The leaf of kind 1 (protocol Forms): what the log keeps of a record version. */
export function versionLeaf(
  salt: Uint8Array,
  fact: { recordId: string; version: number; digest: Uint8Array },
): Uint8Array {
  return hmac(salt, 1, fact.recordId, fact.version, fact.digest)
}

/** What the header names where no write card gives a compartment: 16 bytes that say nothing to anybody else. */
export function unclaimedCompartment(custodyKey: Uint8Array, compartment: string): Uint8Array {
  return hmac(custodyKey, 'unclaimed', compartment).slice(0, 16)
}

/**
 * Seals one version for storage: object, wraps, sealed labels and leaf (protocol §3). Without a `batch` (an owner who
 * is not enrolled) there is a custody wrap only, and the header names a compartment that says nothing.
 */
export function sealVersion(
  version: VersionToSeal,
  {
    custodyKey,
    batch,
    random,
    unclaimedComp = unclaimedCompartment,
  }: {
    custodyKey: Uint8Array
    batch: BatchKey | undefined
    random: Random
    unclaimedComp?: typeof unclaimedCompartment
  },
): SealedVersion {
  const { owner, rid, recordId, json, digest } = version
  const oid = random(16)
  const dek = random(32)
  const salt = random(32)
  const comp = batch?.comp ?? unclaimedComp(custodyKey, version.labels.compartment)
  const epoch = batch?.epoch ?? 0
  const plaintext = encodeVersion({ recordId, version: version.version, prev: version.prev ?? null, json })
  const bytes = sealObject({ oid, dek, comp, epoch, plaintext, random })
  const { headerHash } = readHeader(bytes)
  const address = objectAddress(bytes)
  const labels = sealLabels(
    { ...version.labels, recordId, version: version.version, digest, salt },
    { key: custodyKey, oid, random },
  )
  const custodyWrap = wrapKey({ kek: custodyKey, dek, oid, headerHash, use: 'custody', random })
  const ownerWrap =
    batch === undefined ? undefined : wrapKey({ kek: batch.key, dek, oid, headerHash, use: 'owner', random })
  return {
    oid,
    owner,
    recordId,
    version: version.version,
    object: { address, bytes },
    leaf: versionLeaf(salt, { recordId, version: version.version, digest }),
    row: (leafIndex) => ({
      oid,
      owner,
      rid,
      version: version.version,
      address,
      comp,
      epoch,
      batch: batch?.batch,
      ownerWrap,
      custodyWrap,
      sealed: labels,
      leafIndex,
      current: version.current,
    }),
  }
}
