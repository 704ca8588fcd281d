import { AppError, hmac, type Random, toHex } from '@salus/core'

/** An owner's custody and index key (protocol §2: `CK_p`, `IK_p`), 32 B each. */
export interface OwnerKeyPair {
  readonly custodyKey: Uint8Array
  readonly indexKey: Uint8Array
}

/**
 * Owners' keys at this organisation, from the keystore. Reading a key that was destroyed throws AppError `KEY_GONE`.
 *
 * Changing a pair takes two steps, because rows under the old pair must stay readable until they are made again:
 * `beginRotation`, then the rows in one transaction, then `finishRotation`. After a crash in between, `rotating`
 * names the owner and `resumeRotations` looks which pair her rows are under.
 */
export interface OwnerKeys {
  /** Makes the keys of owners that have none; durable when it resolves. */
  ensure(owners: readonly Uint8Array[]): Promise<void>
  custodyKey(owner: Uint8Array): Uint8Array
  indexKey(owner: Uint8Array): Uint8Array
  /** Makes the next pair, durable, beside the one in force; the same one again while the rotation is open. */
  beginRotation(owner: Uint8Array): Promise<OwnerKeyPair>
  /** Puts the next pair in force before it returns, and resolves when the old one is deleted durably. */
  finishRotation(owner: Uint8Array): Promise<void>
  /** Owners with an open rotation. */
  rotating(): readonly Uint8Array[]
  /**
   * Deletes every key of these owners and moves the living keys to a new keystore generation, so that what was
   * deleted here and by `finishRotation` can no longer be had. What a receipt states is returned.
   */
  destroy(owners: readonly Uint8Array[]): Promise<{
    readonly generation: number
    readonly how: 'destroyed-in-KMS' | 'rewritten'
  }>
}

/** How a record id is looked up without being shown: 16 bytes under an organisation secret. */
export function ridOf(ridKey: Uint8Array, recordId: string): Uint8Array {
  return hmac(ridKey, 'rid', recordId).slice(0, 16)
}

export interface MemoryOwnerKeys extends OwnerKeys {
  /** Every key that exists, for tests that look for keys where none may be. */
  all(): Uint8Array[]
}

/** The twin that lives in memory. */
export function memoryOwnerKeys(random: Random): MemoryOwnerKeys {
  const pairs = new Map<string, OwnerKeyPair>()
  const next = new Map<string, { readonly owner: Uint8Array; readonly pair: OwnerKeyPair }>()
  let generation = 1
  const make = (): OwnerKeyPair => ({ custodyKey: random(32), indexKey: random(32) })
  const pair = (owner: Uint8Array): OwnerKeyPair => {
    const found = pairs.get(toHex(owner))
    if (found === undefined) throw keyGone()
    return found
  }
  return {
    async ensure(owners) {
      for (const owner of owners) if (!pairs.has(toHex(owner))) pairs.set(toHex(owner), make())
    },
    custodyKey: (owner) => pair(owner).custodyKey,
    indexKey: (owner) => pair(owner).indexKey,
    async beginRotation(owner) {
      pair(owner)
      const open = next.get(toHex(owner)) ?? { owner, pair: make() }
      next.set(toHex(owner), open)
      return open.pair
    },
    async finishRotation(owner) {
      const open = next.get(toHex(owner))
      if (open === undefined) return
      next.delete(toHex(owner))
      pairs.set(toHex(owner), open.pair)
    },
    rotating: () => [...next.values()].map(({ owner }) => owner),
    async destroy(owners) {
      for (const owner of owners) {
        pairs.delete(toHex(owner))
        next.delete(toHex(owner))
      }
      generation += 1
      return { generation, how: 'rewritten' }
    },
    all: () =>
      [...pairs.values(), ...[...next.values()].map((open) => open.pair)].flatMap(
        ({ custodyKey, indexKey }) => [custodyKey, indexKey],
      ),
  }
}

export function keyGone(): AppError {
  return new AppError(
    'KEY_GONE',
    'owner: the keys of this record were destroyed; what they opened cannot be had',
  )
}
