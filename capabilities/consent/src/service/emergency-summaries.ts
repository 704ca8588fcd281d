import { type Random, toHex, utf8 } from '@salus/core'
import type { Clock, Sql, Timer } from '@salus/host'
import { emergencySummary, type SummaryExclusions, type SummarySource } from '../emergency-summary.ts'
import type { CustodyVersion } from '../record-source.ts'
import { Turns } from './turns.ts'

/** Types of which a write changes what the summary says. */
const RELEVANT = new Set([
  'Patient',
  'AllergyIntolerance',
  'MedicationRequest',
  'MedicationStatement',
  'Condition',
  'Immunization',
  'DeviceUseStatement',
  'Observation',
  'Consent',
])
/** Writes close together make one summary. */
const QUIET_MS = 30_000

/** What the summaries need of the records of this organisation. */
export interface SummaryRecords {
  /** Current records that a summary may hold, with numbers as they came. */
  sources(owner: Uint8Array): Promise<readonly SummarySource[]>
  exclusions(owner: Uint8Array): SummaryExclusions
  /** Seals the next version of `Bundle/id` in the compartment `emergency`; durable and logged when it resolves. */
  put(owner: Uint8Array, recordId: string, json: Uint8Array): Promise<void>
  /** The newest version of the summary `Bundle/id`; undefined where there is none. */
  current(owner: Uint8Array, recordId: string): CustodyVersion | undefined
  /** Types of the owner's versions that arrived after this one, deletions too. */
  typesSince(owner: Uint8Array, oid: Uint8Array): Iterable<string>
  /** Whether records are arriving in bulk now: summaries wait until that is over. */
  isBusy(): boolean
}

export interface SummariesParts {
  readonly sql: Sql
  readonly records: SummaryRecords
  readonly custodian: { readonly org: string; readonly name: string }
  readonly serialise: (tree: unknown) => string
  readonly clock: Clock
  readonly random: Random
}

/**
 * The emergency summary of each patient, made anew after relevant writes (protocol §6): soon afterwards by itself, and
 * at the latest before it is shown. What is still to do survives a restart.
 */
export class EmergencySummaries {
  readonly #parts: SummariesParts
  readonly #turns = new Turns()
  #timer: Timer | undefined
  #working: Promise<void> = Promise.resolve()
  #closed = false

  constructor(parts: SummariesParts) {
    this.#parts = parts
    parts.sql.exec(
      `CREATE TABLE IF NOT EXISTS consent_summary (
         owner BLOB PRIMARY KEY, bundle TEXT NOT NULL, composition TEXT NOT NULL, stale INTEGER NOT NULL) WITHOUT ROWID`,
    )
    if (this.#stale(1).length > 0) this.#schedule()
  }

  /** Notes writes; types that no summary shows are passed over. */
  noteWrites(writes: Iterable<{ readonly owner: Uint8Array; readonly type: string }>): void {
    const owners = new Map<string, Uint8Array>()
    for (const { owner, type } of writes) if (RELEVANT.has(type)) owners.set(toHex(owner), owner)
    if (owners.size === 0) return
    this.#parts.sql.transaction(() => {
      for (const owner of owners.values()) this.markStale(owner)
    })
    this.#schedule()
  }

  /** The patient changed what she leaves out. */
  choicesChanged(owner: Uint8Array): void {
    this.markStale(owner)
    this.#schedule()
  }

  markStale(owner: Uint8Array): void {
    const { sql, random } = this.#parts
    sql
      .prepare(
        `INSERT INTO consent_summary VALUES (?, ?, ?, 1)
           ON CONFLICT (owner) DO UPDATE SET stale = 1`,
      )
      .run(owner, uuidFrom(random), uuidFrom(random))
  }

  /** The summary as of now; undefined for somebody of whom nothing is held. */
  async ready(owner: Uint8Array): Promise<CustodyVersion | undefined> {
    const { sql } = this.#parts
    const row = sql.prepare('SELECT stale FROM consent_summary WHERE owner = ?').get<{ stale: number }>(owner)
    if (row === undefined) this.markStale(owner)
    const current = this.#current(owner)
    // Whatever way a record came, and whatever was lost in a crash: what is shown is never older than the record.
    if (row?.stale !== 0 || current === undefined || this.#isOutdated(owner, current)) await this.#make(owner)
    return this.#current(owner)
  }

  /** Makes what is waiting now, unless records are arriving; resolves when it is done. */
  async flush(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#work()
    await this.#working
  }

  removeOwner(owner: Uint8Array): void {
    this.#parts.sql.prepare('DELETE FROM consent_summary WHERE owner = ?').run(owner)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#working
  }

  #schedule(): void {
    if (this.#closed) return
    this.#timer?.cancel()
    this.#timer = this.#parts.clock.schedule(QUIET_MS, () => {
      this.#timer = undefined
      this.#work()
    })
  }

  #work(): void {
    this.#working = this.#working.then(async () => {
      for (let owners = this.#stale(100); owners.length > 0 && !this.#closed; owners = this.#stale(100)) {
        let failed = false
        for (const owner of owners) {
          if (this.#closed) return
          if (this.#parts.records.isBusy()) return this.#schedule()
          // One that cannot be made now waits: `ready` tries again, and then tells whoever asked.
          const made = await this.#make(owner).then(
            () => true,
            () => false,
          )
          failed ||= !made
        }
        if (failed) return
      }
    })
  }

  #isOutdated(owner: Uint8Array, { oid }: CustodyVersion): boolean {
    for (const type of this.#parts.records.typesSince(owner, oid)) if (RELEVANT.has(type)) return true
    return false
  }

  #current(owner: Uint8Array): CustodyVersion | undefined {
    const { sql, records } = this.#parts
    const row = sql
      .prepare('SELECT bundle FROM consent_summary WHERE owner = ?')
      .get<{ bundle: string }>(owner)
    return row === undefined ? undefined : records.current(owner, `Bundle/${row.bundle}`)
  }

  #stale(limit: number): Uint8Array[] {
    return this.#parts.sql
      .prepare('SELECT owner FROM consent_summary WHERE stale = 1 LIMIT ?')
      .all(limit)
      .map((row) => row['owner'] as Uint8Array)
  }

  #make(owner: Uint8Array): Promise<void> {
    return this.#turns.take(toHex(owner), async () => {
      const { sql, records, custodian, serialise, clock } = this.#parts
      const row = sql
        .prepare('SELECT bundle, composition FROM consent_summary WHERE owner = ?')
        .get<{ bundle: string; composition: string }>(owner)
      if (row === undefined) return
      // Marked first: a write that comes while it is made counts again.
      sql.prepare('UPDATE consent_summary SET stale = 0 WHERE owner = ?').run(owner)
      try {
        const sources = await records.sources(owner)
        if (sources.length === 0) return
        const ids = { bundle: row.bundle, composition: row.composition }
        const exclusions = records.exclusions(owner)
        const tree = emergencySummary({ sources, exclusions, ids, custodian, timeMs: clock.now() })
        await records.put(owner, `Bundle/${row.bundle}`, utf8(serialise(tree)))
      } catch (error) {
        sql.prepare('UPDATE consent_summary SET stale = 1 WHERE owner = ?').run(owner)
        throw error
      }
    })
  }
}

/** RFC 9562, version 4. */
function uuidFrom(random: Random): string {
  const bytes = Uint8Array.from(random(16))
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  const hex = toHex(bytes)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
