import { type CborValue, decode, encode, gcmOpen, gcmSeal, type Random } from '@salus/core'
import type { Clock, Sql } from '@salus/host'

/** What an owner is told without having asked. */
export const NOTICE_KINDS = [
  'recovery-armed',
  'recovery-started',
  'recovery-helped',
  'emergency',
  'refusal',
  'recall',
  'link-replaced',
  'enrolled-again',
  'delegate-added',
  'hosted-grant',
  'claim-started',
] as const
export type NoticeKind = (typeof NOTICE_KINDS)[number]

export interface Notice {
  readonly seq: number
  readonly kind: NoticeKind
  readonly timeMs: number
  /** Ids and times that the notice is about; what they mean is in the owner's own lists. */
  readonly about: Readonly<Record<string, string | number | Uint8Array>>
}

const PAGE = 200

/** The owner's inbox at this organisation. Sealed: a notice says that something happened to a person. */
export class Notices {
  readonly #sql: Sql
  readonly #key: Uint8Array
  readonly #clock: Clock
  readonly #random: Random

  constructor({
    sql,
    key,
    clock,
    random,
  }: {
    readonly sql: Sql
    readonly key: Uint8Array
    readonly clock: Clock
    readonly random: Random
  }) {
    this.#sql = sql
    this.#key = key
    this.#clock = clock
    this.#random = random
    sql.exec(
      `CREATE TABLE IF NOT EXISTS identity_notice (
         seq INTEGER PRIMARY KEY AUTOINCREMENT, owner BLOB NOT NULL, sealed BLOB NOT NULL)`,
    )
    sql.exec('CREATE INDEX IF NOT EXISTS identity_notice_owner ON identity_notice (owner, seq)')
  }

  add(owner: Uint8Array, notice: Pick<Notice, 'kind'> & Partial<Pick<Notice, 'about'>>): void {
    const content = { kind: notice.kind, timeMs: this.#clock.now(), about: notice.about ?? {} }
    const plaintext = encode(content as unknown as CborValue)
    const sealed = gcmSeal({ key: this.#key, aad: owner, plaintext, random: this.#random })
    this.#sql.prepare('INSERT INTO identity_notice (owner, sealed) VALUES (?, ?)').run(owner, sealed)
  }

  /** In order, at most 200 after `after`. */
  list(owner: Uint8Array, after = 0): Notice[] {
    return this.#sql
      .prepare('SELECT seq, sealed FROM identity_notice WHERE owner = ? AND seq > ? ORDER BY seq LIMIT ?')
      .all(owner, after, PAGE)
      .map((row) => {
        const opened = gcmOpen({ key: this.#key, aad: owner, sealed: row['sealed'] as Uint8Array })
        return { seq: row['seq'] as number, ...(decode(opened) as unknown as Omit<Notice, 'seq'>) }
      })
  }

  removeOwner(owner: Uint8Array): void {
    this.#sql.prepare('DELETE FROM identity_notice WHERE owner = ?').run(owner)
  }
}
