import {
  bool,
  bytes,
  type CborValue,
  decode,
  encode,
  gcmOpen,
  gcmSeal,
  hmac,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  type Random,
  text,
  toBase64url,
} from '@salus/core'
import type { Sql } from '@salus/host'
import { type Holder, json, type Route, route } from '@salus/server'
import type { SummaryExclusions } from '../emergency-summary.ts'
import { COMPARTMENTS } from '../vocabulary.ts'

/** What a patient decides about her emergency summary at one custodian. */
export const emergencyChoicesSchema = object('My emergency summary', {
  optOut: bool('Show none at all, except where the law overrides it'),
  compartments: list(oneOf('Category', COMPARTMENTS), { max: COMPARTMENTS.length, doc: 'Left out' }),
  records: list(text('Type/id', { min: 3, max: 160 }), { max: 1_000, doc: 'Left out' }),
  locator: optional(bytes('Random; on the card that I carry', { length: 32 })),
})
export type EmergencyChoices = Infer<typeof emergencyChoicesSchema>

const NOTHING_CHOSEN: EmergencyChoices = { optOut: false, compartments: [], records: [] }

/** Patients' choices about their emergency summaries, sealed; a locator is found by a keyed token of it only. */
export class EmergencyChoiceStore {
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
      'CREATE TABLE IF NOT EXISTS consent_emergency_choice (owner BLOB PRIMARY KEY, token BLOB, sealed BLOB NOT NULL) WITHOUT ROWID',
    )
    sql.exec('CREATE INDEX IF NOT EXISTS consent_emergency_token ON consent_emergency_choice (token)')
  }

  get(owner: Uint8Array): EmergencyChoices {
    const row = this.#sql.prepare('SELECT sealed FROM consent_emergency_choice WHERE owner = ?').get(owner)
    if (row === undefined) return NOTHING_CHOSEN
    const opened = gcmOpen({ key: this.#key, aad: owner, sealed: row['sealed'] as Uint8Array })
    return decode(opened) as unknown as EmergencyChoices
  }

  exclusions(owner: Uint8Array): SummaryExclusions {
    const { compartments, records } = this.get(owner)
    return { compartments, records }
  }

  put(owner: Uint8Array, choices: EmergencyChoices): void {
    const plaintext = encode(choices as unknown as CborValue)
    const sealed = gcmSeal({ key: this.#key, aad: owner, plaintext, random: this.#random })
    const token = choices.locator === undefined ? null : this.#token(choices.locator)
    this.#sql
      .prepare('INSERT OR REPLACE INTO consent_emergency_choice VALUES (?, ?, ?)')
      .run(owner, token, sealed)
  }

  /** Whose locator this is; undefined for nobody's, and for one that two carry. */
  byLocator(locator: Uint8Array): Uint8Array | undefined {
    const rows = this.#sql
      .prepare('SELECT owner FROM consent_emergency_choice WHERE token = ? LIMIT 2')
      .all(this.#token(locator))
    return rows.length === 1 ? (rows[0]?.['owner'] as Uint8Array) : undefined
  }

  removeOwner(owner: Uint8Array): void {
    this.#sql.prepare('DELETE FROM consent_emergency_choice WHERE owner = ?').run(owner)
  }

  #token(locator: Uint8Array): Uint8Array {
    return hmac(this.#key, 'locator', locator)
  }
}

/** The patient's own page about her emergency summary. A delegate reads and changes nothing of it. */
export function emergencyChoiceRoutes(parts: {
  readonly choices: EmergencyChoiceStore
  /** Called after a change, so that the summary is made anew. */
  readonly changed: (owner: Uint8Array) => void
  /** Throws AppError `FORBIDDEN` for a delegate. */
  readonly ownerOnly: (holder: Holder) => Uint8Array
}): Route[] {
  const { choices, changed, ownerOnly } = parts
  return [
    {
      method: 'GET',
      path: '/me/emergency',
      summary: 'What I chose about my emergency summary here',
      audience: 'holder',
      reply: emergencyChoicesSchema,
      handle({ actor }) {
        const { locator, ...rest } = choices.get(ownerOnly(actor as Holder))
        return json({ ...rest, ...(locator === undefined ? {} : { locator: toBase64url(locator) }) })
      },
    },
    route<EmergencyChoices>({
      method: 'PUT',
      path: '/me/emergency',
      summary: 'Leave something out of my emergency summary, opt out of it, or carry a locator',
      audience: 'holder',
      body: emergencyChoicesSchema,
      handle({ actor, body }) {
        const owner = ownerOnly(actor as Holder)
        choices.put(owner, body)
        changed(owner)
        return json({ kept: true })
      },
    }),
  ]
}
