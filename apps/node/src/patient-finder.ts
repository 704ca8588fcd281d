import { fromUtf8, hmac } from '@salus/core'
import type { Sql } from '@salus/host'
import type { PatientFinder } from '@salus/identity/service'
import type { RecordsPart } from './records-part.ts'

/** The demographics by which two organisations may find that they treat the same person. */
export interface Demographics {
  readonly family: string
  readonly given: string
  readonly birthDate: string
}

/**
 * Finds patients by name and birth date, exactly after normalisation. The table holds keyed tokens only, and equal
 * tokens lead to several patients where several share name and day.
 */
export class TokenPatientFinder implements PatientFinder {
  readonly #sql: Sql
  readonly #key: Uint8Array

  constructor({ sql, key }: { readonly sql: Sql; readonly key: Uint8Array }) {
    this.#sql = sql
    this.#key = key
    sql.exec(
      'CREATE TABLE IF NOT EXISTS identity_match (token BLOB NOT NULL, owner BLOB NOT NULL, PRIMARY KEY (token, owner)) WITHOUT ROWID',
    )
  }

  find(person: Demographics): readonly Uint8Array[] {
    return this.#sql
      .prepare('SELECT owner FROM identity_match WHERE token = ?')
      .all<{ owner: Uint8Array }>(this.#token(person))
      .map(({ owner }) => owner)
  }

  /** Notes the names of a Patient resource that arrived. */
  note(owner: Uint8Array, patient: Readonly<Record<string, unknown>>): void {
    const birthDate = patient['birthDate']
    if (typeof birthDate !== 'string') return
    const names = (patient['name'] ?? []) as readonly { family?: string; given?: readonly string[] }[]
    for (const { family, given } of names) {
      if (family === undefined || given?.[0] === undefined) continue
      this.#sql
        .prepare('INSERT OR IGNORE INTO identity_match VALUES (?, ?)')
        .run(this.#token({ family, given: given[0], birthDate }), owner)
    }
  }

  forget(owner: Uint8Array): void {
    this.#sql.prepare('DELETE FROM identity_match WHERE owner = ?').run(owner)
  }

  #token({ family, given, birthDate }: Demographics): Uint8Array {
    return hmac(this.#key, 'match', normal(family), normal(given), birthDate)
  }
}

/** Letters without case, accents and spaces. */
function normal(name: string): string {
  return name
    .normalize('NFD')
    .replace(/[\u0300-\u036f\s'’-]/g, '')
    .toLowerCase()
}

/** The demographics of a patient held here, from her Patient resource; undefined when it does not say. */
export async function demographicsOf(
  records: RecordsPart,
  owner: Uint8Array,
): Promise<Demographics | undefined> {
  const row = records.custody.owner(owner)
  const version = row === undefined ? undefined : records.custody.versionByRid(row.rid)
  if (version === undefined) return undefined
  const { json } = await records.reader.open(version)
  const patient = JSON.parse(fromUtf8(json)) as {
    birthDate?: string
    name?: { family?: string; given?: string[] }[]
  }
  const name = patient.name?.find(({ family, given }) => family !== undefined && given?.[0] !== undefined)
  if (name?.family === undefined || name.given?.[0] === undefined || patient.birthDate === undefined)
    return undefined
  return { family: name.family, given: name.given[0], birthDate: patient.birthDate }
}
