import { type CborValue, decode, encode, gcmOpen, gcmSeal, type Random } from '@salus/core'
import type { Sql, SqlRow } from '@salus/host'
import type { EmergencyRequest } from '../emergency.ts'

/** How far a broken glass came. `waiting`: the ledger stands still and a second person has not signed. */
export type GlassPhase = 'waiting' | 'open' | 'ended'

/** A glass that was broken here. */
export interface BrokenGlass {
  readonly b: Uint8Array
  readonly phase: GlassPhase
  readonly untilMs: number
  /** Set while the ledger is owed the event: when at the latest it is due. */
  readonly ledgerDueMs: number | undefined
  readonly statement: Uint8Array
  readonly salt: Uint8Array
  readonly practitioner: string
  readonly credential: Uint8Array
  readonly reason: string
  readonly openedMs: number
  readonly patient: EmergencyRequest['patient']
  /** The patient's owner id here, where she is one of this house. */
  readonly owner?: Uint8Array
  /** Who signed second, while the ledger stood still. */
  readonly second?: { readonly practitioner: string; readonly credential: Uint8Array }
}

type Sealed = Omit<BrokenGlass, 'b' | 'phase' | 'untilMs' | 'ledgerDueMs'>

/** Glasses broken at this organisation. They name people, so they are sealed; the summaries themselves are not here. */
export class EmergencyStore {
  readonly #sql: Sql
  readonly #key: Uint8Array
  readonly #random: Random

  constructor({
    sql,
    key,
    random,
  }: { readonly sql: Sql; readonly key: Uint8Array; readonly random: Random }) {
    this.#sql = sql
    this.#key = key
    this.#random = random
    sql.exec(
      `CREATE TABLE IF NOT EXISTS consent_emergency (
         b BLOB PRIMARY KEY, phase TEXT NOT NULL, untilMs INTEGER NOT NULL, ledgerDueMs INTEGER, sealed BLOB NOT NULL) WITHOUT ROWID`,
    )
  }

  put({ b, phase, untilMs, ledgerDueMs, ...secrets }: BrokenGlass): void {
    const plaintext = encode(secrets satisfies Sealed as unknown as CborValue)
    const sealed = gcmSeal({ key: this.#key, aad: b, plaintext, random: this.#random })
    this.#sql
      .prepare('INSERT OR REPLACE INTO consent_emergency VALUES (?, ?, ?, ?, ?)')
      .run(b, phase, untilMs, ledgerDueMs ?? null, sealed)
  }

  get(b: Uint8Array): BrokenGlass | undefined {
    const row = this.#sql.prepare('SELECT * FROM consent_emergency WHERE b = ?').get(b)
    return row === undefined ? undefined : this.#from(row)
  }

  /** Newest end first. */
  list(): BrokenGlass[] {
    return this.#sql
      .prepare('SELECT * FROM consent_emergency ORDER BY untilMs DESC')
      .all()
      .map((row) => this.#from(row))
  }

  setPhase(b: Uint8Array, phase: GlassPhase): void {
    this.#sql.prepare('UPDATE consent_emergency SET phase = ? WHERE b = ?').run(phase, b)
  }

  setLedgerDue(b: Uint8Array, dueMs: number | undefined): void {
    this.#sql.prepare('UPDATE consent_emergency SET ledgerDueMs = ? WHERE b = ?').run(dueMs ?? null, b)
  }

  /** Those whose event the ledger is owed. */
  owed(): BrokenGlass[] {
    return this.#sql
      .prepare('SELECT * FROM consent_emergency WHERE ledgerDueMs IS NOT NULL')
      .all()
      .map((row) => this.#from(row))
  }

  #from(row: SqlRow): BrokenGlass {
    const b = row['b'] as Uint8Array
    const opened = gcmOpen({ key: this.#key, aad: b, sealed: row['sealed'] as Uint8Array })
    return {
      b,
      phase: row['phase'] as GlassPhase,
      untilMs: row['untilMs'] as number,
      ledgerDueMs: (row['ledgerDueMs'] as number | null) ?? undefined,
      ...(decode(opened) as unknown as Sealed),
    }
  }
}
