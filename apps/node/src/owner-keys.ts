import type { AuditKeys } from '@salus/audit'
import { fromHex, type Random, toHex } from '@salus/core'
import { auditKey, type Keystore, patientKey, patientPrefix } from '@salus/keys/organisation'
import { keyGone, type OwnerKeyPair, type OwnerKeys } from '@salus/records'

interface Numbered extends OwnerKeyPair {
  readonly number: number
}

const NAME = /^patient\/([0-9a-f]{32})\/ck\/(\d+)$/

/**
 * Owners' keys over the keystore. The pairs stay in memory: every read of a record needs one, and the keystore hands
 * out copies. Where two numbers of a pair exist, the lower is in force and a rotation to the higher is open.
 */
export class KeystoreOwnerKeys implements OwnerKeys, AuditKeys {
  readonly #keystore: Keystore
  readonly #random: Random
  readonly #current = new Map<string, Numbered>()
  readonly #next = new Map<string, Numbered>()
  #making: Promise<unknown> = Promise.resolve()

  constructor(keystore: Keystore, random: Random) {
    this.#keystore = keystore
    this.#random = random
    const found = keystore.names('patient/').flatMap((name) => {
      const [, owner, number] = NAME.exec(name) ?? []
      return owner === undefined ? [] : [{ owner, number: Number(number) }]
    })
    for (const { owner, number } of found.sort((a, b) => a.number - b.number)) {
      const pair = this.#load(owner, number)
      if (pair !== undefined) (this.#current.has(owner) ? this.#next : this.#current).set(owner, pair)
    }
  }

  ensure(owners: readonly Uint8Array[]): Promise<void> {
    return this.#alone(async () => {
      const missing = [...new Set(owners.map(toHex))].filter((owner) => !this.#current.has(owner))
      for (const [owner, pair] of await this.#make(missing.map((owner) => [owner, 1])))
        this.#current.set(owner, pair)
    })
  }

  custodyKey(owner: Uint8Array): Uint8Array {
    return this.#pair(owner).custodyKey
  }

  indexKey(owner: Uint8Array): Uint8Array {
    return this.#pair(owner).indexKey
  }

  async beginRotation(owner: Uint8Array): Promise<OwnerKeyPair> {
    const name = toHex(owner)
    const { number } = this.#pair(owner)
    if (!this.#next.has(name))
      for (const [, pair] of await this.#make([[name, number + 1]])) this.#next.set(name, pair)
    return this.#next.get(name) ?? this.#pair(owner)
  }

  async finishRotation(owner: Uint8Array): Promise<void> {
    const name = toHex(owner)
    const next = this.#next.get(name)
    if (next === undefined) return
    const { number } = this.#pair(owner)
    // In force at once, because the rows are under the new pair already; the old one goes when this resolves.
    this.#current.set(name, next)
    this.#next.delete(name)
    await this.#keystore.delete([patientKey(name, 'ck', number), patientKey(name, 'ik', number)])
  }

  rotating(): readonly Uint8Array[] {
    return [...this.#next.keys()].map(fromHex)
  }

  async destroy(
    owners: readonly Uint8Array[],
  ): Promise<{ readonly generation: number; readonly how: 'destroyed-in-KMS' | 'rewritten' }> {
    for (const owner of owners) {
      const name = toHex(owner)
      // Audit keys stay: who looked is kept until its own date (protocol §7).
      const names = this.#keystore.names(patientPrefix(name)).filter((key) => !key.includes('/ak/'))
      await this.#keystore.delete(names)
      for (const pairs of [this.#current, this.#next]) {
        pairs.get(name)?.custodyKey.fill(0)
        pairs.get(name)?.indexKey.fill(0)
        pairs.delete(name)
      }
    }
    const { generation, how } = await this.#keystore.rotate()
    return { generation, how }
  }

  auditKey(owner: Uint8Array, year: number): Uint8Array {
    const key = this.#keystore.get(auditKey(toHex(owner), year))
    if (key === undefined) throw keyGone()
    return key
  }

  ensureAuditKeys(owners: readonly Uint8Array[], year: number): Promise<void> {
    const missing = () =>
      [...new Set(owners.map(toHex))].filter((owner) => !this.#keystore.has(auditKey(owner, year)))
    if (missing().length === 0) return Promise.resolve()
    return this.#alone(async () => {
      const names = missing().map((owner) => auditKey(owner, year))
      if (names.length > 0) await this.#keystore.put(names.map((name) => ({ name, key: this.#random(32) })))
    })
  }

  /** One maker of keys at a time: two that both find a key missing would make two. */
  #alone(work: () => Promise<void>): Promise<void> {
    const done = this.#making.then(work)
    this.#making = done.catch(() => undefined)
    return done
  }

  async #make(wanted: readonly (readonly [string, number])[]): Promise<[string, Numbered][]> {
    if (wanted.length === 0) return []
    await this.#keystore.put(
      wanted.flatMap(([owner, number]) => [
        { name: patientKey(owner, 'ck', number), key: this.#random(32) },
        { name: patientKey(owner, 'ik', number), key: this.#random(32) },
      ]),
    )
    return wanted.flatMap(([owner, number]) => {
      const pair = this.#load(owner, number)
      return pair === undefined ? [] : [[owner, pair] as [string, Numbered]]
    })
  }

  #load(owner: string, number: number): Numbered | undefined {
    const custodyKey = this.#keystore.get(patientKey(owner, 'ck', number))
    const indexKey = this.#keystore.get(patientKey(owner, 'ik', number))
    return custodyKey === undefined || indexKey === undefined ? undefined : { number, custodyKey, indexKey }
  }

  #pair(owner: Uint8Array): Numbered {
    const pair = this.#current.get(toHex(owner))
    if (pair === undefined) throw keyGone()
    return pair
  }
}
