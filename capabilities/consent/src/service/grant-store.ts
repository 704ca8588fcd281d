import { type CborValue, decode, encode, gcmOpen, gcmSeal, type Random } from '@salus/core'
import type { Sql, SqlRow } from '@salus/host'
import type { CarriedTerms } from '../decision.ts'
import { FIRST_PREV } from '../release-request.ts'

const HOUR_MS = 3_600_000

/** Which end of a grant this organisation is. */
export type GrantRole = 'custodian' | 'grantee'

/** A grant as this organisation keeps it. */
export interface StoredGrant {
  readonly g: Uint8Array
  readonly role: GrantRole
  /** The patient's owner id here; 16 B. */
  readonly owner: Uint8Array
  readonly carried: CarriedTerms
  /** A validly signed `revoke` or a recall was seen, final or not. */
  readonly revokedOnSight: boolean
  readonly lastSeq: number
  /** `H` of the request before; zeros before the first. */
  readonly lastRequest: Uint8Array
}

/** A request of this organisation under a grant. */
export interface AskedRequest {
  readonly seq: number
  readonly requestHash: Uint8Array
  readonly prev: Uint8Array
  /** An answer came: a release or a refusal. */
  readonly answered: boolean
}

/**
 * Terms of grants, at the custodian and at the grantee. They name people and categories, so they are sealed under an
 * organisation secret; a grant's id says nothing.
 */
export class GrantStore {
  readonly #sql: Sql
  readonly #key: Uint8Array
  readonly #random: Random

  constructor({ sql, key, random }: { sql: Sql; key: Uint8Array; random: Random }) {
    this.#sql = sql
    this.#key = key
    this.#random = random
    sql.exec(
      `CREATE TABLE IF NOT EXISTS consent_grant (
         g BLOB PRIMARY KEY, role TEXT NOT NULL, owner BLOB NOT NULL, sealed BLOB NOT NULL, revokedOnSight INTEGER NOT NULL,
         lastSeq INTEGER NOT NULL, lastRequest BLOB NOT NULL) WITHOUT ROWID`,
    )
    sql.exec('CREATE INDEX IF NOT EXISTS consent_grant_owner ON consent_grant (owner)')
    sql.exec(
      'CREATE TABLE IF NOT EXISTS consent_use (g BLOB NOT NULL, timeMs INTEGER NOT NULL, versions INTEGER NOT NULL)',
    )
    sql.exec('CREATE INDEX IF NOT EXISTS consent_use_g ON consent_use (g, timeMs)')
    sql.exec('CREATE TABLE IF NOT EXISTS consent_withdrawn (g BLOB PRIMARY KEY) WITHOUT ROWID')
    sql.exec(
      `CREATE TABLE IF NOT EXISTS consent_asked (
         g BLOB NOT NULL, seq INTEGER NOT NULL, requestHash BLOB NOT NULL, prev BLOB NOT NULL, answered INTEGER NOT NULL,
         PRIMARY KEY (g, requestHash)) WITHOUT ROWID`,
    )
  }

  /** Keeps a grant; the same grant again changes nothing. One that was withdrawn before it came is kept as such. */
  add({ g, role, owner, carried }: Pick<StoredGrant, 'g' | 'role' | 'owner' | 'carried'>): void {
    const sealed = this.#seal(g, carried)
    this.#sql
      .prepare(
        `INSERT OR IGNORE INTO consent_grant
           VALUES (?1, ?2, ?3, ?4, EXISTS (SELECT 1 FROM consent_withdrawn WHERE g = ?1), 0, ?5)`,
      )
      .run(g, role, owner, sealed, FIRST_PREV)
  }

  /** Puts a newer link key's signature in place of the one that came with the terms. */
  setLink({ g, carried }: Pick<StoredGrant, 'g' | 'carried'>, link: CarriedTerms['link']): void {
    const sealed = this.#seal(g, { ...carried, link })
    this.#sql.prepare('UPDATE consent_grant SET sealed = ? WHERE g = ?').run(sealed, g)
  }

  get(g: Uint8Array): StoredGrant | undefined {
    const row = this.#sql.prepare('SELECT * FROM consent_grant WHERE g = ?').get(g)
    return row === undefined ? undefined : this.#from(row)
  }

  ofOwner(owner: Uint8Array, role: GrantRole): StoredGrant[] {
    return this.#sql
      .prepare('SELECT * FROM consent_grant WHERE owner = ? AND role = ?')
      .all(owner, role)
      .map((row) => this.#from(row))
  }

  /** Holds for good, also for terms that come only later. */
  revokeOnSight(g: Uint8Array): void {
    this.#sql.transaction(() => {
      this.#sql.prepare('INSERT OR IGNORE INTO consent_withdrawn VALUES (?)').run(g)
      this.#sql.prepare('UPDATE consent_grant SET revokedOnSight = 1 WHERE g = ?').run(g)
    })
  }

  /** Notes a request under a grant: its place in the sequence and what it cost. */
  noteRequest(
    g: Uint8Array,
    use: { seq: number; requestHash: Uint8Array; timeMs: number; versions: number },
  ): void {
    this.#sql.transaction(() => {
      this.#sql
        .prepare('UPDATE consent_grant SET lastSeq = ?, lastRequest = ? WHERE g = ?')
        .run(use.seq, use.requestHash, g)
      this.#sql.prepare('DELETE FROM consent_use WHERE g = ? AND timeMs < ?').run(g, use.timeMs - HOUR_MS)
      this.#sql.prepare('INSERT INTO consent_use VALUES (?, ?, ?)').run(g, use.timeMs, use.versions)
    })
  }

  /** Notes what is about to be asked, so that an answer that never comes leaves its question known. */
  noteAsked(g: Uint8Array, asked: Pick<AskedRequest, 'seq' | 'requestHash' | 'prev'>): void {
    this.#sql
      .prepare('INSERT INTO consent_asked VALUES (?, ?, ?, ?, 0)')
      .run(g, asked.seq, asked.requestHash, asked.prev)
  }

  noteAnswered(g: Uint8Array, requestHash: Uint8Array): void {
    this.#sql
      .prepare('UPDATE consent_asked SET answered = 1 WHERE g = ? AND requestHash = ?')
      .run(g, requestHash)
  }

  /** A request that this organisation made under a grant; undefined for one it never made. */
  asked(g: Uint8Array, requestHash: Uint8Array): AskedRequest | undefined {
    const row = this.#sql
      .prepare('SELECT * FROM consent_asked WHERE g = ? AND requestHash = ?')
      .get(g, requestHash)
    return row === undefined
      ? undefined
      : {
          seq: row['seq'] as number,
          requestHash: row['requestHash'] as Uint8Array,
          prev: row['prev'] as Uint8Array,
          answered: row['answered'] === 1,
        }
  }

  /** Takes up a sequence where the other side says that it stands. */
  setSequence(g: Uint8Array, last: { readonly seq: number; readonly request: Uint8Array }): void {
    this.#sql
      .prepare('UPDATE consent_grant SET lastSeq = ?, lastRequest = ? WHERE g = ?')
      .run(last.seq, last.request, g)
  }

  usage(g: Uint8Array, nowMs: number): { requestsLastHour: number; versionsLastHour: number } {
    const row = this.#sql
      .prepare(
        'SELECT COUNT(*) AS requests, COALESCE(SUM(versions), 0) AS versions FROM consent_use WHERE g = ? AND timeMs > ?',
      )
      .get<{ requests: number; versions: number }>(g, nowMs - HOUR_MS)
    return { requestsLastHour: row?.requests ?? 0, versionsLastHour: row?.versions ?? 0 }
  }

  /** Forgets the grants of an owner; their terms go with her record. */
  removeOwner(owner: Uint8Array): void {
    this.#sql.transaction(() => {
      for (const table of ['consent_use', 'consent_asked', 'consent_withdrawn'])
        this.#sql
          .prepare(`DELETE FROM ${table} WHERE g IN (SELECT g FROM consent_grant WHERE owner = ?)`)
          .run(owner)
      this.#sql.prepare('DELETE FROM consent_grant WHERE owner = ?').run(owner)
    })
  }

  #seal(g: Uint8Array, carried: CarriedTerms): Uint8Array {
    const plaintext = encode(carried as unknown as CborValue)
    return gcmSeal({ key: this.#key, aad: g, plaintext, random: this.#random })
  }

  #from(row: SqlRow): StoredGrant {
    const g = row['g'] as Uint8Array
    return {
      g,
      role: row['role'] as GrantRole,
      owner: row['owner'] as Uint8Array,
      carried: decode(
        gcmOpen({ key: this.#key, aad: g, sealed: row['sealed'] as Uint8Array }),
      ) as unknown as CarriedTerms,
      revokedOnSight: row['revokedOnSight'] === 1,
      lastSeq: row['lastSeq'] as number,
      lastRequest: row['lastRequest'] as Uint8Array,
    }
  }
}
