import type { AuditKeys } from '@salus/audit'
import { AppError, fromHex, type Random, toHex } from '@salus/core'
import { auditKey, type Keystore, patientKey, patientPrefix } from '@salus/keys/organisation'
import type { OwnerKeys } from '@salus/records'

interface Pair {
  readonly number: number
  readonly custody: Uint8Array
  readonly index: Uint8Array
}

const NAME = /^patient\/([0-9a-f]{32})\/ck\/(\d+)$/

/**
 * Owners' keys over the keystore. The pairs in force stay in memory: every read of a record needs one, and the
 * keystore hands out copies.
 */
export class KeystoreOwnerKeys implements OwnerKeys, AuditKeys {
  readonly #keystore: Keystore
  readonly #random: Random
  readonly #pairs = new Map<string, Pair>()

  constructor(keystore: Keystore, random: Random) {
    this.#keystore = keystore
    this.#random = random
    for (const name of keystore.names('patient/')) {
      const [, owner, number] = NAME.exec(name) ?? []
      if (owner !== undefined) this.#load(owner, Number(number))
    }
  }

  async ensure(owners: readonly Uint8Array[]): Promise<void> {
    const missing = owners.map(toHex).filter((owner) => !this.#pairs.has(owner))
    if (missing.length === 0) return
    await this.#make(missing.map((owner) => ({ owner, number: 1 })))
  }

  custodyKey(owner: Uint8Array): Uint8Array {
    return this.#pair(owner).custody
  }

  indexKey(owner: Uint8Array): Uint8Array {
    return this.#pair(owner).index
  }

  async rotate(owner: Uint8Array): Promise<{ previousCustodyKey: Uint8Array }> {
    const name = toHex(owner)
    const { custody, number } = this.#pair(owner)
    const previousCustodyKey = custody.slice()
    await this.#make([{ owner: name, number: number + 1 }])
    await this.#keystore.delete([patientKey(name, 'ck', number), patientKey(name, 'ik', number)])
    return { previousCustodyKey }
  }

  async destroy(owners: readonly Uint8Array[]): Promise<void> {
    for (const owner of owners) {
      const name = toHex(owner)
      const pair = this.#pairs.get(name)
      if (pair === undefined) continue
      this.#pairs.delete(name)
      await this.#keystore.delete([patientKey(name, 'ck', pair.number), patientKey(name, 'ik', pair.number)])
      pair.custody.fill(0)
      pair.index.fill(0)
    }
    await this.#keystore.rotate()
  }

  auditKey(owner: Uint8Array, year: number): Uint8Array {
    const key = this.#keystore.get(auditKey(toHex(owner), year))
    if (key === undefined) throw keyGone()
    return key
  }

  async ensureAuditKeys(owners: readonly Uint8Array[], year: number): Promise<void> {
    const missing = [...new Set(owners.map(toHex))].filter(
      (owner) => !this.#keystore.has(auditKey(owner, year)),
    )
    if (missing.length === 0) return
    await this.#keystore.put(missing.map((owner) => ({ name: auditKey(owner, year), key: this.#random(32) })))
  }

  /** Names of everything kept for an owner, for backups and figures. */
  names(owner: Uint8Array): string[] {
    return this.#keystore.names(patientPrefix(toHex(owner)))
  }

  owners(): Uint8Array[] {
    return [...this.#pairs.keys()].map(fromHex)
  }

  async #make(wanted: readonly { owner: string; number: number }[]): Promise<void> {
    await this.#keystore.put(
      wanted.flatMap(({ owner, number }) => [
        { name: patientKey(owner, 'ck', number), key: this.#random(32) },
        { name: patientKey(owner, 'ik', number), key: this.#random(32) },
      ]),
    )
    for (const { owner, number } of wanted) this.#load(owner, number)
  }

  #load(owner: string, number: number): void {
    const custody = this.#keystore.get(patientKey(owner, 'ck', number))
    const index = this.#keystore.get(patientKey(owner, 'ik', number))
    const known = this.#pairs.get(owner)
    if (custody === undefined || index === undefined || (known !== undefined && known.number > number)) return
    this.#pairs.set(owner, { number, custody, index })
  }

  #pair(owner: Uint8Array): Pair {
    const pair = this.#pairs.get(toHex(owner))
    if (pair === undefined) throw keyGone()
    return pair
  }
}

function keyGone(): AppError {
  return new AppError(
    'KEY_GONE',
    'owner: the keys of this record were destroyed; what they opened cannot be had',
  )
}
