import { equal, instantOf, type Random } from '@salus/core'
import type { Clock, WorkerPool } from '@salus/host'
import type { ObjectStore } from '@salus/vault'
import type { CustodyStore } from '../custody/custody-store.ts'
import type { BatchRow, OwnerRow } from '../custody/rows.ts'
import type { Owner, ResourceCompartment } from '../fhir/index.ts'
import { type TokenIndex, tokenOf } from '../index/token-index.ts'
import { type OwnerKeys, ridOf } from '../owner-keys.ts'
import { openLabels } from '../sealed-labels.ts'
import type { Prepared, PrepareInput, PrepareOutput, Rejected } from './prepare.ts'
import {
  type BatchKey,
  type CompartmentTarget,
  openBatch,
  type SealedVersion,
  sealVersion,
} from './seal-version.ts'
import { withVersion } from './with-version.ts'

/** What an import did with every resource that it found. */
export interface ImportReport {
  /** Resources that arrived; `unchanged` ones were here already, byte for byte. */
  readonly imported: number
  readonly unchanged: number
  readonly rejected: readonly Rejected[]
  readonly dangling: readonly { readonly from: string; readonly to: string }[]
  /** Owners made for a patient reference that leads nowhere, or for a Patient that arrived. */
  readonly newOwners: number
  /** Resources that concern several patients: kept for the organisation, never released under a grant. */
  readonly organisationOwned: readonly string[]
  readonly unheldCodes: readonly { readonly system: string; readonly code: string; readonly count: number }[]
  readonly versions: readonly ImportedVersion[]
}

export interface ImportedVersion {
  readonly owner: Uint8Array
  readonly oid: Uint8Array
  readonly recordId: string
  readonly version: number
}

/** Where sealed leaves go: the organisation's fact log. Resolves when they are durable and integrated. */
export interface LeafSink {
  appendMany(leaves: readonly Uint8Array[]): Promise<{ readonly index: number }>
}

export interface IngestParts {
  readonly custody: CustodyStore
  readonly index: TokenIndex
  readonly vault: Pick<ObjectStore, 'putMany'>
  readonly log: LeafSink
  readonly keys: OwnerKeys
  readonly ridKey: Uint8Array
  readonly chainId: Uint8Array
  readonly clock: Clock
  readonly random: Random
  readonly workers: WorkerPool<PrepareInput, PrepareOutput>
  /** The public key to seal to for an enrolled owner's compartment; undefined when she has none (yet). */
  target(owner: OwnerRow, compartment: ResourceCompartment): CompartmentTarget | undefined
}

/** Rows in one custody transaction; bounds memory and the time that a reader waits. */
const BATCH_VERSIONS = 2_000

/**
 * Takes files in. Parsing and checking run in workers, several files at once; sealing and storing run one batch
 * at a time, so that two files never give one record the same version. A version counts as arrived when its object,
 * its leaf and its rows are durable; what a crash leaves before that is an object or a leaf that nothing points to.
 */
export class Ingest {
  readonly #parts: IngestParts
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: IngestParts) {
    this.#parts = parts
  }

  /** Imports one file: a bundle, one resource, or ndjson. Never throws for what is inside; see `rejected`. */
  async importFile(file: { readonly name: string; readonly text: string }): Promise<ImportReport> {
    const lastUpdated = instantOf(this.#parts.clock.now())
    const output = await this.#parts.workers.run({ ...file, lastUpdated })
    return this.#inTurn(() => this.#store(file.name, output))
  }

  /** Stores resources that are prepared already (a single write, an archive). */
  async store(name: string, output: PrepareOutput): Promise<ImportReport> {
    return this.#inTurn(() => this.#store(name, output))
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work, work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #store(name: string, output: PrepareOutput): Promise<ImportReport> {
    const rejected = [...output.rejected]
    const versions: ImportedVersion[] = []
    const organisationOwned: string[] = []
    let unchanged = 0
    let newOwners = 0
    for (let from = 0; from < output.prepared.length; from += BATCH_VERSIONS) {
      const batch = output.prepared.slice(from, from + BATCH_VERSIONS)
      const done = await this.#storeBatch(name, batch)
      versions.push(...done.versions)
      organisationOwned.push(...done.organisationOwned)
      rejected.push(...done.rejected)
      unchanged += done.unchanged
      newOwners += done.newOwners
    }
    return {
      imported: versions.length + unchanged,
      unchanged,
      rejected,
      dangling: output.dangling.filter(
        ({ to }) => this.#parts.custody.versionByRid(this.#rid(to)) === undefined,
      ),
      newOwners,
      organisationOwned,
      unheldCodes: output.unheldCodes.map(([system, code, count]) => ({ system, code, count })),
      versions,
    }
  }

  async #storeBatch(name: string, batch: readonly Prepared[]) {
    const { custody, keys, random } = this.#parts
    const owners = new OwnerCache(this.#parts)
    for (const prepared of batch) owners.resolve(prepared.owner)
    await keys.ensure(owners.all().map(({ row }) => row.owner))

    const sealed: { version: SealedVersion; prepared: Prepared; number: number; owner: OwnerRow }[] = []
    const batches = new Map<string, BatchKey | undefined>()
    const batchRows: BatchRow[] = []
    const rejected: Rejected[] = []
    const organisationOwned: string[] = []
    const seen = new Map<string, number>()
    let unchanged = 0
    for (const prepared of batch) {
      const { row: owner } = owners.resolve(prepared.owner)
      if (owner.status === 'restricted' || owner.status === 'erased') {
        rejected.push(
          rejection(
            name,
            prepared,
            'OWNER_ERASED',
            'owner: this patient had the record erased; enrol again to add to it',
          ),
        )
        continue
      }
      const custodyKey = keys.custodyKey(owner.owner)
      const rid = this.#rid(prepared.recordId)
      const existing = custody.versionByRid(rid)
      if (existing !== undefined && !equal(existing.owner, owner.owner)) {
        rejected.push(
          rejection(
            name,
            prepared,
            'OTHER_PATIENT',
            'subject: this record is held for somebody else; a record never changes its patient, use a new id',
          ),
        )
        continue
      }
      const before =
        existing === undefined
          ? undefined
          : openLabels(existing.sealed, { key: custodyKey, oid: existing.oid })
      if (before !== undefined && equal(before.source, prepared.source)) {
        unchanged += 1
        continue
      }
      const inBatch = seen.get(prepared.recordId)
      const number = (inBatch ?? existing?.version ?? 0) + 1
      seen.set(prepared.recordId, number)
      const json = number === 1 ? prepared.json : withVersion(prepared.json, number)
      if (prepared.owner.kind === 'organisation') organisationOwned.push(prepared.recordId)
      const key = `${owner.rid.join()}/${prepared.compartment}`
      if (!batches.has(key)) {
        const target = this.#parts.target(owner, prepared.compartment)
        const opened =
          target === undefined ? undefined : openBatch(target, { chainId: this.#parts.chainId, random })
        batches.set(key, opened)
        if (opened !== undefined) batchRows.push({ ...pick(opened), owner: owner.owner })
      }
      const version = sealVersion(
        {
          owner: owner.owner,
          rid,
          recordId: prepared.recordId,
          version: number,
          prev: before?.digest,
          json,
          labels: {
            type: prepared.type,
            compartment: prepared.compartment,
            codes: prepared.codes,
            ...(prepared.fromMs === undefined ? {} : { fromMs: prepared.fromMs }),
            ...(prepared.toMs === undefined ? {} : { toMs: prepared.toMs }),
            source: prepared.source,
          },
        },
        { custodyKey, batch: batches.get(key), random },
      )
      sealed.push({ version, prepared, number, owner })
    }
    if (sealed.length > 0 || owners.made.length > 0) await this.#commit(sealed, batchRows, owners.made)
    const versions = sealed.map(({ version, prepared, number, owner }) => ({
      owner: owner.owner,
      oid: version.oid,
      recordId: prepared.recordId,
      version: number,
    }))
    return { versions, unchanged, rejected, organisationOwned, newOwners: owners.made.length }
  }

  async #commit(
    sealed: readonly { version: SealedVersion; prepared: Prepared; owner: OwnerRow }[],
    batchRows: readonly BatchRow[],
    newOwners: readonly OwnerRow[],
  ): Promise<void> {
    const { vault, log, custody, index, keys } = this.#parts
    const [{ index: firstIndex }] = await Promise.all([
      log.appendMany(sealed.map(({ version }) => version.leaf)),
      vault.putMany(sealed.map(({ version }) => version.object)),
    ])
    const seqs = custody.sql.transaction(() => {
      for (const owner of newOwners) custody.addOwner(owner)
      custody.addBatches(batchRows)
      return custody.addVersions(sealed.map(({ version }, at) => version.row(firstIndex + at)))
    })
    index.add(
      sealed.map(({ prepared, owner }, at) => {
        const indexKey = keys.indexKey(owner.owner)
        return { seq: seqs[at] as number, tokens: prepared.tokens.map((token) => tokenOf(indexKey, token)) }
      }),
    )
  }

  #rid(recordId: string): Uint8Array {
    return ridOf(this.#parts.ridKey, recordId)
  }
}

/** Owners of one batch: those that are here, and those that the batch makes. */
class OwnerCache {
  readonly made: OwnerRow[] = []
  readonly #rows = new Map<string, OwnerRow>()
  readonly #parts: IngestParts

  constructor(parts: IngestParts) {
    this.#parts = parts
  }

  resolve(owner: Owner): { row: OwnerRow } {
    const name = owner.kind === 'patient' ? owner.name : `~${owner.kind}`
    let row = this.#rows.get(name)
    if (row === undefined) {
      const rid = ridOf(this.#parts.ridKey, name)
      row = this.#parts.custody.ownerByRid(rid)
      if (row === undefined) {
        row = {
          owner: this.#parts.random(16),
          rid,
          kind: owner.kind,
          status: 'unclaimed',
          retainUntilMs: undefined,
          linkKey: undefined,
          sub: undefined,
          card: undefined,
        }
        this.made.push(row)
      }
      this.#rows.set(name, row)
    }
    return { row }
  }

  all(): { row: OwnerRow }[] {
    return [...this.#rows.values()].map((row) => ({ row }))
  }
}

function pick({ batch, comp, epoch, enc }: BatchKey): Omit<BatchRow, 'owner'> {
  return { batch, comp, epoch, enc }
}

function rejection(
  file: string,
  { entry, recordId, type }: Prepared,
  code: string,
  message: string,
): Rejected {
  return { file, entry, type, id: recordId.slice(type.length + 1), code, message }
}
