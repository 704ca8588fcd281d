import { AppError, dayOf, dayStartMs, equal, toHex } from '@salus/core'
import type { Clock } from '@salus/host'
import type { ObjectStore } from '@salus/vault'
import type { OwnerRow, VersionRow } from '../custody/rows.ts'
import type { Ingest } from '../ingest/ingest.ts'
import type { LeafSink } from '../ingest/version-writer.ts'
import { restrictionLeaf, tombstoneLeaf } from './markers.ts'
import { type RotationParts, rotateOwnerKeys } from './rotation.ts'

/** What the law says of a chart, by the table of `@salus/identity` (`erasureEffect`). Days are YYYY-MM-DD. */
export type Retention = (input: {
  readonly lastEntryDay: string
  readonly createdDay: string
  readonly today: string
}) =>
  | { readonly effect: 'delete' }
  | { readonly effect: 'restrict' | 'keep'; readonly retainUntil: string; readonly basis: string }

/** A receipt that the organisation signed and committed on the ledger (`records/erased`). */
export interface IssuedReceipt {
  readonly bytes: Uint8Array
  readonly sig: Uint8Array
  /** Opens the commitment on the ledger; nobody but the owner gets it. */
  readonly salt: Uint8Array
}

export interface ErasureReceipts {
  erased(facts: {
    readonly owner: Uint8Array
    readonly requestId: Uint8Array
    /** Opaque ids in ascending order. */
    readonly objects: readonly Uint8Array[]
    readonly method: 'destroyed-in-KMS' | 'rewritten'
    /** The generation that no longer exists. */
    readonly keystoreGeneration: number
  }): Promise<IssuedReceipt>
  refused(facts: {
    readonly owner: Uint8Array
    readonly requestId: Uint8Array
    readonly count: number
    readonly effect: 'restrict' | 'keep'
    readonly basis: string
    readonly retainUntil: string
  }): Promise<IssuedReceipt>
}

export interface ErasureParts extends RotationParts {
  readonly vault: Pick<ObjectStore, 'erase' | 'compact'>
  readonly log: LeafSink
  readonly ingest: Ingest
  readonly clock: Clock
  readonly retention: Retention
  readonly receipts: ErasureReceipts
  /** Ends what others may still do with the owner's record: grants, sessions, deposits. */
  readonly endGrants: (owner: Uint8Array) => Promise<void>
  /** The emergency summaries of an owner are destroyed; a new one gets new ids. */
  readonly summariesGone: (owner: Uint8Array) => void
}

export interface ErasureResult {
  /** Versions destroyed now, and versions hidden until a date. */
  readonly destroyed: number
  readonly restricted: number
  readonly retainUntil: string | undefined
  readonly receipts: readonly IssuedReceipt[]
}

/** Erasure of records at one custodian (protocol §7). One at a time, and nothing is stored meanwhile. */
export class Erasure {
  readonly #parts: ErasureParts

  constructor(parts: ErasureParts) {
    this.#parts = parts
  }

  /**
   * Erases everything that is held of an owner, or the versions in `oids`. What she made herself goes at once; the
   * custodian's legal record is hidden from care until its date, and a signed refusal names the law. A repeated request
   * changes nothing more. Throws AppError `NOT_FOUND` for versions that are not hers.
   */
  async erase(
    owner: Uint8Array,
    request: { readonly requestId: Uint8Array; readonly oids?: readonly Uint8Array[] },
  ): Promise<ErasureResult> {
    const { custody, ingest, endGrants } = this.#parts
    const row = custody.owner(owner)
    if (row === undefined || row.kind !== 'patient')
      throw new AppError('NOT_FOUND', 'owner: nothing is held of you here')
    if (request.oids === undefined) await endGrants(owner)
    return ingest.exclusively(async () => {
      const summaries = this.#summariesOf(owner)
      const isSummary = new Set(summaries.map(({ seq }) => seq))
      const rows = this.#rowsOf(owner, request.oids).filter(({ seq }) => !isSummary.has(seq))
      const live = rows.filter(({ state }) => state === 'live')
      const chart = live.filter(({ custodyWrap }) => custodyWrap !== undefined)
      const kept = this.#keptByLaw(chart)
      if (rows.length === 0 && request.oids === undefined) custody.setStatus(owner, 'erased')
      const own = kept === undefined ? live : live.filter(({ custodyWrap }) => custodyWrap === undefined)
      // Made out of the others, so they repeat what is erased; the law keeps what they were made of.
      const gone = [...own, ...(live.length > 0 || request.oids === undefined ? summaries : [])]
      const receipts: IssuedReceipt[] = []
      if (kept !== undefined) {
        await this.#restrict(chart, kept.untilMs)
        if (request.oids === undefined) custody.setStatus(owner, 'restricted', kept.untilMs)
        const { effect, basis, retainUntil } = kept
        const { requestId } = request
        receipts.push(
          await this.#parts.receipts.refused({
            owner,
            requestId,
            count: chart.length,
            effect,
            basis,
            retainUntil,
          }),
        )
      }
      if (gone.length > 0) receipts.push(await this.#destroy(row, gone, request.requestId))
      if (gone.some(({ seq }) => isSummary.has(seq))) this.#parts.summariesGone(owner)
      if (gone.length === 0 && kept !== undefined) this.#flush()
      return {
        destroyed: gone.length,
        restricted: kept === undefined ? 0 : chart.length,
        retainUntil: kept?.retainUntil,
        receipts,
      }
    })
  }

  /** Destroys restricted versions whose date has come; for a job, and at start. Returns the receipts. */
  async destroyDue(requestId: Uint8Array): Promise<IssuedReceipt[]> {
    const { custody, ingest, clock } = this.#parts
    return ingest.exclusively(async () => {
      const byOwner = new Map<string, VersionRow[]>()
      for (const row of custody.due(clock.now())) {
        const rows = byOwner.get(toHex(row.owner)) ?? []
        rows.push(row)
        byOwner.set(toHex(row.owner), rows)
      }
      const receipts: IssuedReceipt[] = []
      for (const rows of byOwner.values()) {
        const owner = custody.owner((rows[0] as VersionRow).owner)
        if (owner !== undefined) receipts.push(await this.#destroy(owner, rows, requestId))
      }
      return receipts
    })
  }

  #summariesOf(owner: Uint8Array): VersionRow[] {
    const { custody, reader } = this.#parts
    return custody.versions(owner).filter((row) => reader.labels(row).compartment === 'emergency')
  }

  #rowsOf(owner: Uint8Array, oids: readonly Uint8Array[] | undefined): VersionRow[] {
    const { custody } = this.#parts
    if (oids === undefined) return custody.versions(owner)
    return oids.map((oid) => {
      const row = custody.version(oid)
      if (row === undefined || !equal(row.owner, owner))
        throw new AppError('NOT_FOUND', 'oids: one of them is no version of yours here; list them again')
      return row
    })
  }

  /** The rule that keeps these versions, if one does. */
  #keptByLaw(rows: readonly VersionRow[]) {
    if (rows.length === 0) return undefined
    const { reader, clock, retention } = this.#parts
    const nowMs = clock.now()
    // An entry tells of a day at the latest today; without a date it counts as written now, the longer period.
    const days = rows.map((row) => Math.min(nowMs, reader.labels(row).toMs ?? nowMs))
    const lastEntryDay = dayOf(days.reduce((latest, day) => Math.max(latest, day), 0))
    const today = dayOf(nowMs)
    const effect = retention({ lastEntryDay, createdDay: today, today })
    return effect.effect === 'delete' ? undefined : { ...effect, untilMs: dayStartMs(effect.retainUntil) }
  }

  async #restrict(rows: readonly VersionRow[], untilMs: number): Promise<void> {
    const { custody, index, log } = this.#parts
    if (rows.length === 0) return
    await log.appendMany(rows.map(({ oid }) => restrictionLeaf(oid, untilMs)))
    custody.sql.transaction(() => {
      custody.restrict(
        rows.map(({ oid }) => oid),
        untilMs,
      )
      custody.removeUnusedBatches((rows[0] as VersionRow).owner)
    })
    index.remove(new Set(rows.map(({ seq }) => seq)))
  }

  async #destroy(
    owner: OwnerRow,
    rows: readonly VersionRow[],
    requestId: Uint8Array,
  ): Promise<IssuedReceipt> {
    const { log, receipts } = this.#parts
    // First the tombstones: whatever a crash leaves undone, the next start completes from them.
    await log.appendMany(rows.map(({ oid }) => tombstoneLeaf(oid)))
    const { generation, how } = await removeVersions(this.#parts, owner, rows)
    const objects = rows.map(({ oid }) => oid).sort((a, b) => (toHex(a) < toHex(b) ? -1 : 1))
    return receipts.erased({
      owner: owner.owner,
      requestId,
      objects,
      method: how,
      keystoreGeneration: generation - 1,
    })
  }

  #flush(): void {
    this.#parts.custody.flushDeleted()
    this.#parts.index.flushDeleted()
  }
}

/**
 * Removes versions with their objects, wraps, salts and tokens, puts what remains of the owner under new keys, and
 * destroys the old ones. Safe to repeat.
 */
export async function removeVersions(
  parts: Omit<ErasureParts, 'retention' | 'receipts' | 'endGrants' | 'summariesGone' | 'ingest' | 'log'>,
  owner: OwnerRow,
  rows: readonly VersionRow[],
): Promise<{ readonly generation: number; readonly how: 'destroyed-in-KMS' | 'rewritten' }> {
  const { custody, index, vault, keys, reader, clock } = parts
  const removed = new Set(rows.map(({ seq }) => seq))
  const remains = custody.versions(owner.owner).some(({ seq }) => !removed.has(seq))
  // Opened first and objects before rows: whatever a crash leaves, the rows, the open rotation or the status still
  // name it, and the next start goes on from there.
  if (remains) await keys.beginRotation(owner.owner)
  await vault.erase(rows.map(({ address }) => address))
  index.remove(removed)
  custody.sql.transaction(() => {
    custody.removeVersions(
      rows.map(({ oid }) => oid),
      clock.now(),
    )
    custody.removeUnusedBatches(owner.owner)
    if (remains) return
    custody.removeReceipts(owner.owner)
    if (owner.kind === 'patient') custody.setStatus(owner.owner, 'erased')
  })
  reader.forget()
  if (remains) await rotateOwnerKeys(parts, owner.owner)
  const destroyed = await keys.destroy(remains ? [] : [owner.owner])
  custody.flushDeleted()
  index.flushDeleted()
  await vault.compact()
  return destroyed
}
