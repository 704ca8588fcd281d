import {
  AppError,
  type CborValue,
  decode,
  encode,
  equal,
  fromHex,
  gcmOpen,
  gcmSeal,
  hmac,
  type Random,
  toHex,
} from '@salus/core'
import type { Clock, Sql } from '@salus/host'
import type { LinkRegistration } from '../enrolment.ts'
import { CODE_TRIES, drawCode } from '../matching.ts'

/** A code handed over at the desk is used the same day. */
const CODE_LIFE_MS = 24 * 3_600_000
const CODE_FORM = /^([0-9a-f]{8})-([0-9]{8})$/

export type Proofing = LinkRegistration['proofing']

/** What a code is good for; one given for one thing opens nothing else. */
export type CodeUse = 'enrol' | 're-enrol' | 'recover' | 'claim'

/** What a code stands for. */
export interface CodeContent {
  readonly use: CodeUse
  readonly owner: Uint8Array
  readonly proofing: Proofing
}

/**
 * One-time codes that tie a person whom staff identified to the device in her hand: `xxxxxxxx-dddddddd`, a row and
 * eight digits. The store keeps a salted commitment; a code counts once, lives a day, and dies after five wrong tries.
 */
export class EnrolmentCodes {
  readonly #sql: Sql
  readonly #key: Uint8Array
  readonly #clock: Clock
  readonly #random: Random

  constructor(parts: { sql: Sql; key: Uint8Array; clock: Clock; random: Random }) {
    this.#sql = parts.sql
    this.#key = parts.key
    this.#clock = parts.clock
    this.#random = parts.random
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_code (
         id TEXT PRIMARY KEY, salt BLOB NOT NULL, commitment BLOB NOT NULL, sealed BLOB NOT NULL, untilMs INTEGER NOT NULL,
         tries INTEGER NOT NULL) WITHOUT ROWID`,
    )
  }

  issue(content: CodeContent): { readonly code: string; readonly untilMs: number } {
    const id = toHex(this.#random(4))
    const digits = drawCode(this.#random)
    const salt = this.#random(32)
    const untilMs = this.#clock.now() + CODE_LIFE_MS
    const sealed = gcmSeal({
      key: this.#key,
      aad: fromHex(id),
      plaintext: encode(content as unknown as CborValue),
      random: this.#random,
    })
    this.#sql.prepare('DELETE FROM identity_code WHERE untilMs <= ?').run(this.#clock.now())
    this.#sql
      .prepare('INSERT INTO identity_code VALUES (?, ?, ?, ?, ?, 0)')
      .run(id, salt, hmac(salt, digits), sealed, untilMs)
    return { code: `${id}-${digits}`, untilMs }
  }

  /** Uses a code up. Throws AppError `CODE_REFUSED`, the same for wrong, used, ended, for something else, never issued. */
  redeem(code: string, use: CodeUse): CodeContent {
    const [, id, digits] = CODE_FORM.exec(code.trim().toLowerCase()) ?? []
    const row =
      id === undefined ? undefined : this.#sql.prepare('SELECT * FROM identity_code WHERE id = ?').get(id)
    if (row === undefined || id === undefined || digits === undefined) throw codeRefused()
    const tries = (row['tries'] as number) + 1
    const right = equal(row['commitment'] as Uint8Array, hmac(row['salt'] as Uint8Array, digits))
    const inTime = this.#clock.now() < (row['untilMs'] as number)
    if (right && inTime && tries <= CODE_TRIES) {
      const opened = gcmOpen({ key: this.#key, aad: fromHex(id), sealed: row['sealed'] as Uint8Array })
      const content = decode(opened) as unknown as CodeContent
      if (content.use === use) {
        this.#sql.prepare('DELETE FROM identity_code WHERE id = ?').run(id)
        return content
      }
    }
    this.#sql.prepare('UPDATE identity_code SET tries = ? WHERE id = ?').run(tries, id)
    throw codeRefused()
  }
}

function codeRefused(): AppError {
  return new AppError(
    'CODE_REFUSED',
    'code: is not valid (any more); ask the organisation’s desk for a new one, each code works once for a day',
  )
}
