import { AppError, type CborValue, decode, encode, equal, gcmOpen, gcmSeal, type Random } from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import { decodeMandate, type Mandate, mandateIsProven } from '../delegation.ts'
import type { SignedMandate } from '../terms.ts'
import { COMPARTMENTS, type Compartment } from '../vocabulary.ts'
import { ledgerDelegation } from './decision-inputs.ts'
import type { ConsentLedger } from './ports.ts'

/** A person at her own record here, or a delegate at somebody else's: what a session says. */
export interface Acting {
  readonly owner: Uint8Array
  /** Set for a delegate: `d`, 16 B. */
  readonly delegation?: Uint8Array | undefined
}

export interface DelegationsParts {
  readonly sql: Sql
  /** Organisation secret that seals mandates. */
  readonly key: Uint8Array
  readonly ledger: ConsentLedger
  readonly clock: Clock
  readonly random: Random
}

/**
 * Mandates of the delegates who act at this organisation (protocol §6). What a delegate may see of the owner's lists
 * and previews is what her mandate names; it is asked anew each time, so it ends with the delegation.
 */
export class Delegations {
  readonly #parts: DelegationsParts

  constructor(parts: DelegationsParts) {
    this.#parts = parts
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS consent_mandate (
         d BLOB PRIMARY KEY, owner BLOB NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID`,
    )
  }

  /**
   * Keeps the mandate of a delegate's session. Throws AppError `MANDATE_REFUSED` where it is not the one that the
   * ledger committed to, or not of this session.
   */
  keep({ owner, delegation }: Acting, signed: SignedMandate): Mandate {
    const { sql, key, ledger, random } = this.#parts
    const refuse = (field: string, rule: string): never => {
      throw new AppError('MANDATE_REFUSED', `${field}: ${rule}`, { path: field })
    }
    const mandate = decodeMandate(signed.mandate)
    if (delegation === undefined || !equal(mandate.d, delegation))
      return refuse('d', 'is not the delegation of this session; sign in with the delegate’s own link key')
    const row = ledgerDelegation(ledger, mandate.d)
    if (row === undefined || !mandateIsProven(signed, row, ledger.chainId))
      return refuse('mandate', 'is not the one that the ledger holds the commitment of')
    const plaintext = encode(signed as unknown as CborValue)
    const sealed = gcmSeal({ key, aad: mandate.d, plaintext, random })
    sql.prepare('INSERT OR REPLACE INTO consent_mandate VALUES (?, ?, ?)').run(mandate.d, owner, sealed)
    return mandate
  }

  /**
   * The categories that whoever acts may be told of: all for the owner, the mandate's for a delegate.
   * Throws AppError `FORBIDDEN` for a delegate whose delegation ended or whose mandate was not shown here.
   */
  compartmentsOf({ owner, delegation }: Acting): readonly Compartment[] {
    if (delegation === undefined) return COMPARTMENTS
    const { sql, key, ledger, clock } = this.#parts
    const found = sql
      .prepare('SELECT owner, sealed FROM consent_mandate WHERE d = ?')
      .get<{ owner: Uint8Array; sealed: Uint8Array }>(delegation)
    if (found === undefined || !equal(found.owner, owner))
      throw new AppError('FORBIDDEN', 'delegation: show its mandate here first, with POST /me/mandate')
    const opened = gcmOpen({ key, aad: delegation, sealed: found.sealed })
    const { scope, until } = decodeMandate((decode(opened) as unknown as SignedMandate).mandate)
    const row = ledgerDelegation(ledger, delegation)
    const latestMs = Math.max(clock.now(), ledger.head().timeMs)
    if (row?.state !== 'active' || latestMs >= Math.min(until, row.na))
      throw new AppError('FORBIDDEN', 'delegation: has ended')
    return scope.compartments
  }

  /** Whose record a delegation is over, where its mandate was shown here. */
  ownerOf(delegation: Uint8Array): Uint8Array | undefined {
    return this.#parts.sql
      .prepare('SELECT owner FROM consent_mandate WHERE d = ?')
      .get<{ owner: Uint8Array }>(delegation)?.owner
  }

  /** Forgets the mandates over an owner's record. */
  removeOwner(owner: Uint8Array): void {
    this.#parts.sql.prepare('DELETE FROM consent_mandate WHERE owner = ?').run(owner)
  }
}
