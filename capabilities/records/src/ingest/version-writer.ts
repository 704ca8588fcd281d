import type { Random } from '@salus/core'
import { toHex } from '@salus/core'
import type { ObjectStore } from '@salus/vault'
import type { CustodyStore } from '../custody/custody-store.ts'
import type { BatchRow, OwnerRow } from '../custody/rows.ts'
import type { ResourceCompartment } from '../fhir/index.ts'
import { type TokenIndex, tokenOf } from '../index/token-index.ts'
import type { OwnerKeys } from '../owner-keys.ts'
import {
  type BatchKey,
  type CompartmentTarget,
  openBatch,
  type SealedVersion,
  sealVersion,
  unclaimedCompartment,
  type VersionToSeal,
} from './seal-version.ts'

/** Where sealed leaves go: the organisation's fact log. Resolves when they are durable and integrated. */
export interface LeafSink {
  appendMany(leaves: readonly Uint8Array[]): Promise<{ readonly index: number }>
}

export interface VersionWriterParts {
  readonly custody: CustodyStore
  readonly index: TokenIndex
  readonly vault: Pick<ObjectStore, 'putMany'>
  readonly log: LeafSink
  readonly keys: OwnerKeys
  readonly chainId: Uint8Array
  readonly random: Random
  /** The public key to seal to for an enrolled owner's compartment; undefined when she has none (yet). */
  target(owner: OwnerRow, compartment: ResourceCompartment): CompartmentTarget | undefined
}

/** A version about to be stored; its number and JSON are final. */
export interface Arrival extends Omit<VersionToSeal, 'owner'> {
  readonly owner: OwnerRow
  /** Search token inputs; empty for versions that no search finds. */
  readonly tokens: readonly string[]
}

/** Versions that share one encapsulation (protocol §3 step 2). */
const WRAPS_PER_BATCH = 1_000

/**
 * Seals versions and makes them durable, all or none: objects and leaves first, then the rows in one transaction.
 * A version counts as arrived with its row; a crash before leaves an object and a leaf that nothing points to.
 */
export async function writeVersions(
  parts: VersionWriterParts,
  arrivals: readonly Arrival[],
  newOwners: readonly OwnerRow[] = [],
): Promise<readonly SealedVersion[]> {
  const { vault, log, custody, index, keys, chainId } = parts
  const random = inBlocks(parts.random)
  await keys.ensure(uniqueOwners(arrivals))
  const batches = new Map<
    string,
    { readonly key: BatchKey | undefined; readonly unclaimed: Uint8Array; used: number }
  >()
  const batchRows: BatchRow[] = []
  const sealed = arrivals.map((arrival) => {
    const { owner, tokens: _tokens, ...version } = arrival
    const name = `${toHex(owner.owner)}/${version.labels.compartment}`
    let batch = batches.get(name)
    if (batch === undefined || batch.used >= WRAPS_PER_BATCH) {
      const target = parts.target(owner, version.labels.compartment)
      const key = target === undefined ? undefined : openBatch(target, { chainId, random })
      const unclaimed = unclaimedCompartment(keys.custodyKey(owner.owner), version.labels.compartment)
      batch = { key, unclaimed, used: 0 }
      batches.set(name, batch)
      if (key !== undefined)
        batchRows.push({
          batch: key.batch,
          owner: owner.owner,
          comp: key.comp,
          epoch: key.epoch,
          enc: key.enc,
        })
    }
    batch.used += 1
    const custodyKey = keys.custodyKey(owner.owner)
    const { key, unclaimed } = batch
    const sealing = { custodyKey, batch: key, random, unclaimedComp: () => unclaimed }
    return sealVersion({ ...version, owner: owner.owner }, sealing)
  })
  const [{ index: firstIndex }] = await Promise.all([
    log.appendMany(sealed.map(({ leaf }) => leaf)),
    vault.putMany(sealed.map(({ object }) => object)),
  ])
  const seqs = custody.sql.transaction(() => {
    for (const owner of newOwners) custody.addOwner(owner)
    custody.addBatches(batchRows)
    return custody.addVersions(sealed.map(({ row }, at) => row(firstIndex + at)))
  })
  const tokensOf = tokensByOwner(keys)
  index.add(
    arrivals.map(({ owner, tokens }, at) => ({
      seq: seqs[at] as number,
      tokens: tokensOf(owner.owner, tokens),
    })),
  )
  return sealed
}

function uniqueOwners(arrivals: readonly Arrival[]): Uint8Array[] {
  return [...new Map(arrivals.map(({ owner }) => [toHex(owner.owner), owner.owner])).values()]
}

/** Most values of a batch repeat (types, categories, the same encounter), and a token costs a keyed hash. */
function tokensByOwner(keys: OwnerKeys): (owner: Uint8Array, inputs: readonly string[]) => number[] {
  const owners = new Map<string, Map<string, number>>()
  return (owner, inputs) => {
    if (inputs.length === 0) return []
    const name = toHex(owner)
    const known = owners.get(name) ?? new Map<string, number>()
    owners.set(name, known)
    const indexKey = keys.indexKey(owner)
    return inputs.map((input) => {
      const token = known.get(input) ?? tokenOf(indexKey, input)
      known.set(input, token)
      return token
    })
  }
}

const BLOCK_BYTES = 4_096

/** Asks the source for blocks: a version needs seven short draws, and each call into the system costs a microsecond. */
function inBlocks(random: Random): Random {
  let block: Uint8Array = new Uint8Array(0)
  let used = 0
  return (lengthBytes) => {
    if (lengthBytes > BLOCK_BYTES) return random(lengthBytes)
    if (used + lengthBytes > block.length) {
      block = random(BLOCK_BYTES)
      used = 0
    }
    const drawn = block.slice(used, used + lengthBytes)
    block.fill(0, used, used + lengthBytes)
    used += lengthBytes
    return drawn
  }
}
