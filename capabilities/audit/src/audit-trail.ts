import {
  AppError,
  type CborValue,
  decode,
  encode,
  gcmOpen,
  gcmSeal,
  hmac,
  type Random,
  sha256,
} from '@salus/core'
import type { Sql } from '@salus/host'

/** An access event about to be recorded. `json` is its FHIR AuditEvent, as it will be kept. */
export interface AuditEntry {
  /** Whose record it concerns; the organisation's own owner for administrative acts. 16 B. */
  readonly owner: Uint8Array
  /** 16 B random; also the AuditEvent's id. */
  readonly eventId: Uint8Array
  readonly timeMs: number
  readonly json: Uint8Array
  /** Grant it happened under, if any; 16 B, opaque. */
  readonly g?: Uint8Array
}

/** An event as kept: its leaf is durable in the organisation's log. */
export interface RecordedEvent {
  readonly owner: Uint8Array
  readonly eventId: Uint8Array
  readonly timeMs: number
  readonly json: Uint8Array
  readonly digest: Uint8Array
  readonly salt: Uint8Array
  readonly leafIndex: number
}

/** Per patient and calendar year, so that it ends on a date (protocol §7). */
export interface AuditKeys {
  auditKey(owner: Uint8Array, year: number): Uint8Array
  ensureAuditKeys(owners: readonly Uint8Array[], year: number): Promise<void>
}

export interface AuditTrailParts {
  readonly sql: Sql
  readonly keys: AuditKeys
  readonly log: { appendMany(leaves: readonly Uint8Array[]): Promise<{ readonly index: number }> }
  readonly random: Random
  /** Calendar year (UTC) of a time. */
  readonly yearOf: (timeMs: number) => number
}

/** The leaf of kind 2 (protocol Forms). */
export function auditLeaf(salt: Uint8Array, eventId: Uint8Array, digest: Uint8Array): Uint8Array {
  return hmac(salt, 2, eventId, digest)
}

/**
 * The organisation's audit trail. An event counts as recorded when its leaf is durable and integrated in the log and
 * its sealed row is committed; whatever it allows may only happen after that (protocol §4 step 3).
 */
export class AuditTrail {
  readonly #parts: AuditTrailParts

  constructor(parts: AuditTrailParts) {
    this.#parts = parts
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS audit_event (
         seq INTEGER PRIMARY KEY AUTOINCREMENT, eventId BLOB NOT NULL UNIQUE, owner BLOB NOT NULL, timeMs INTEGER NOT NULL,
         sealed BLOB NOT NULL, leafIndex INTEGER NOT NULL)`,
    )
    parts.sql.exec('CREATE INDEX IF NOT EXISTS audit_event_owner ON audit_event (owner, seq)')
  }

  async record(entry: AuditEntry): Promise<RecordedEvent> {
    return (await this.recordMany([entry]))[0] as RecordedEvent
  }

  /** Records several events with one flush of the log: an import makes one per patient. */
  async recordMany(entries: readonly AuditEntry[]): Promise<RecordedEvent[]> {
    if (entries.length === 0) return []
    const { sql, keys, log, random, yearOf } = this.#parts
    const years = new Map<number, Uint8Array[]>()
    for (const { owner, timeMs } of entries) {
      const year = yearOf(timeMs)
      years.set(year, [...(years.get(year) ?? []), owner])
    }
    for (const [year, owners] of years) await keys.ensureAuditKeys(owners, year)
    const salted = entries.map((entry) => ({ entry, salt: random(32), digest: sha256(entry.json) }))
    const { index: firstIndex } = await log.appendMany(
      salted.map(({ entry, salt, digest }) => auditLeaf(salt, entry.eventId, digest)),
    )
    const recorded = salted.map(({ entry, salt, digest }, at) => ({
      owner: entry.owner,
      eventId: entry.eventId,
      timeMs: entry.timeMs,
      json: entry.json,
      digest,
      salt,
      leafIndex: firstIndex + at,
    }))
    sql.transaction(() => {
      const insert = sql.prepare(
        'INSERT INTO audit_event (eventId, owner, timeMs, sealed, leafIndex) VALUES (?, ?, ?, ?, ?)',
      )
      for (const event of recorded) {
        const sealed = gcmSeal({
          key: keys.auditKey(event.owner, yearOf(event.timeMs)),
          aad: event.eventId,
          plaintext: encode({ json: event.json, salt: event.salt }),
          random,
        })
        insert.run(event.eventId, event.owner, event.timeMs, sealed, event.leafIndex)
      }
    })
    return recorded
  }

  /** The events of an owner, oldest first, from after `seq`. Events whose key has ended are left out. */
  list(
    owner: Uint8Array,
    { after = 0, limit = 1_000 }: { after?: number; limit?: number } = {},
  ): {
    readonly events: readonly RecordedEvent[]
    /** Where the next page begins; undefined at the end. */
    readonly next: number | undefined
  } {
    const rows = this.#parts.sql
      .prepare('SELECT * FROM audit_event WHERE owner = ? AND seq > ? ORDER BY seq LIMIT ?')
      .all(owner, after, limit)
    const events = rows.flatMap((row) => {
      const event = this.#open(row)
      return event === undefined ? [] : [event]
    })
    return { events, next: rows.length < limit ? undefined : (rows.at(-1)?.['seq'] as number) }
  }

  /** One event of an owner. Throws AppError `NOT_FOUND` also for somebody else's. */
  event(owner: Uint8Array, eventId: Uint8Array): RecordedEvent {
    const row = this.#parts.sql
      .prepare('SELECT * FROM audit_event WHERE eventId = ? AND owner = ?')
      .get(eventId, owner)
    const event = row === undefined ? undefined : this.#open(row)
    if (event === undefined) throw new AppError('NOT_FOUND', 'eventId: no such access is on your list')
    return event
  }

  count(): number {
    return this.#parts.sql.prepare('SELECT COUNT(*) AS n FROM audit_event').get<{ n: number }>()?.n ?? 0
  }

  #open(row: Readonly<Record<string, unknown>>): RecordedEvent | undefined {
    const eventId = row['eventId'] as Uint8Array
    const owner = row['owner'] as Uint8Array
    const timeMs = row['timeMs'] as number
    let key: Uint8Array
    try {
      key = this.#parts.keys.auditKey(owner, this.#parts.yearOf(timeMs))
    } catch {
      return undefined
    }
    const opened = decode(gcmOpen({ key, aad: eventId, sealed: row['sealed'] as Uint8Array })) as unknown as {
      readonly [key in 'json' | 'salt']: CborValue & Uint8Array
    }
    const { json, salt } = opened
    return { owner, eventId, timeMs, json, salt, digest: sha256(json), leafIndex: row['leafIndex'] as number }
  }
}
