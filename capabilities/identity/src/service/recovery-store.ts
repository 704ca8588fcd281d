import { type CborValue, decode, encode, gcmOpen, gcmSeal, type Random } from '@salus/core'
import type { Sql, SqlRow } from '@salus/host'

/** What is kept of a recovery: all of it at home, the copy of the half alone at the second organisation. */
export interface KeptRecovery {
  readonly half: Uint8Array
  readonly keyringId?: Uint8Array
  readonly plan?: Uint8Array
  readonly salt?: Uint8Array
  readonly envelope?: Uint8Array
  readonly krkGeneration?: number
}

/** A recovery as it is kept here: `owner` at home, `fromOrg` where a copy is kept for another home. */
export interface StoredRecovery {
  readonly r: Uint8Array
  readonly owner: Uint8Array | undefined
  readonly fromOrg: string | undefined
  readonly kept: KeptRecovery
  /** Key that a code from the desk was shown for, and until when it may start the recovery. */
  readonly pending: { readonly key: Uint8Array; readonly untilMs: number } | undefined
}

/** Plans and halves of recoveries, sealed: they name an account's guardians. One per owner. */
export class RecoveryStore {
  readonly #sql: Sql
  readonly #key: Uint8Array
  readonly #random: Random

  constructor({ sql, key, random }: { sql: Sql; key: Uint8Array; random: Random }) {
    this.#sql = sql
    this.#key = key
    this.#random = random
    sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_recovery (
         r BLOB PRIMARY KEY, owner BLOB, fromOrg TEXT, sealed BLOB NOT NULL, pendingKey BLOB, pendingUntilMs INTEGER)
         WITHOUT ROWID`,
    )
    sql.exec('CREATE INDEX IF NOT EXISTS identity_recovery_owner ON identity_recovery (owner)')
  }

  get(r: Uint8Array): StoredRecovery | undefined {
    return this.#from(this.#sql.prepare('SELECT * FROM identity_recovery WHERE r = ?').get(r))
  }

  ofOwner(owner: Uint8Array): StoredRecovery | undefined {
    return this.#from(this.#sql.prepare('SELECT * FROM identity_recovery WHERE owner = ?').get(owner))
  }

  /** Keeps an owner's recovery in place of an earlier one. */
  putForOwner(r: Uint8Array, owner: Uint8Array, kept: KeptRecovery): void {
    this.#sql.transaction(() => {
      this.removeOwner(owner)
      this.#insert(r, kept, owner, null)
    })
  }

  /** Keeps a copy for another home, in place of the one it names. */
  putCopy(r: Uint8Array, fromOrg: string, kept: KeptRecovery, replaces: Uint8Array | undefined): void {
    this.#sql.transaction(() => {
      for (const old of [r, ...(replaces === undefined ? [] : [replaces])])
        this.#sql.prepare('DELETE FROM identity_recovery WHERE r = ? AND fromOrg = ?').run(old, fromOrg)
      this.#insert(r, kept, null, fromOrg)
    })
  }

  setPending(r: Uint8Array, pending: StoredRecovery['pending']): void {
    this.#sql
      .prepare('UPDATE identity_recovery SET pendingKey = ?, pendingUntilMs = ? WHERE r = ?')
      .run(pending?.key ?? null, pending?.untilMs ?? null, r)
  }

  removeOwner(owner: Uint8Array): void {
    this.#sql.prepare('DELETE FROM identity_recovery WHERE owner = ?').run(owner)
  }

  #insert(r: Uint8Array, kept: KeptRecovery, owner: Uint8Array | null, fromOrg: string | null): void {
    const plaintext = encode(kept as unknown as CborValue)
    const sealed = gcmSeal({ key: this.#key, aad: r, plaintext, random: this.#random })
    this.#sql
      .prepare('INSERT INTO identity_recovery VALUES (?, ?, ?, ?, NULL, NULL)')
      .run(r, owner, fromOrg, sealed)
  }

  #from(row: SqlRow | undefined): StoredRecovery | undefined {
    if (row === undefined) return undefined
    const r = row['r'] as Uint8Array
    const opened = gcmOpen({ key: this.#key, aad: r, sealed: row['sealed'] as Uint8Array })
    const key = row['pendingKey']
    return {
      r,
      owner: (row['owner'] as Uint8Array | null) ?? undefined,
      fromOrg: (row['fromOrg'] as string | null) ?? undefined,
      kept: decode(opened) as unknown as KeptRecovery,
      pending: key instanceof Uint8Array ? { key, untilMs: Number(row['pendingUntilMs']) } : undefined,
    }
  }
}
