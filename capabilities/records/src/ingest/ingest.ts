import { AppError, equal, instantOf, sha256 } from '@salus/core'
import type { Clock, WorkerPool } from '@salus/host'
import type { OwnerRow } from '../custody/rows.ts'
import { ridOf } from '../owner-keys.ts'
import { openLabels, type SealedLabels } from '../sealed-labels.ts'
import { OwnerCache } from './owner-cache.ts'
import type { Prepared, PrepareInput, PrepareOutput, Rejected } from './prepare.ts'
import type { SealedVersion } from './seal-version.ts'
import { type Arrival, type VersionWriterParts, writeVersions } from './version-writer.ts'
import { withVersion } from './with-version.ts'

export type { LeafSink } from './version-writer.ts'

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

/** One write of a request: what is stored, and what must hold at that moment. */
export interface Write {
  readonly prepared: Prepared
  /** Set for a record that keeps its owner without naming her: a deletion. */
  readonly owner?: OwnerRow
  /** The version that must be the newest (If-Match); AppError `CONFLICT` otherwise. */
  readonly ifVersion?: number
  /** Marks the record as deleted; `prepared.json` is its empty resource. */
  readonly deleted?: boolean
}

export interface IngestParts extends VersionWriterParts {
  readonly ridKey: Uint8Array
  readonly clock: Clock
  readonly workers: WorkerPool<PrepareInput, PrepareOutput>
}

/** Rows in one custody transaction; bounds memory and the time that a reader waits. */
const BATCH_VERSIONS = 2_000

/**
 * Takes files and writes in. Parsing and checking run in workers, several files at once; sealing and storing run one
 * batch at a time, so that two files never give one record the same version.
 */
export class Ingest {
  readonly #parts: IngestParts
  #turn: Promise<unknown> = Promise.resolve()
  #slices: Slice[] = []
  #files = 0

  constructor(parts: IngestParts) {
    this.#parts = parts
  }

  /** Imports one file: a bundle, one resource, or ndjson. Never throws for what is inside; see `rejected`. */
  async importFile(file: { readonly name: string; readonly text: string }): Promise<ImportReport> {
    const lastUpdated = instantOf(this.#parts.clock.now())
    this.#files += 1
    try {
      const output = await this.#parts.workers.run({ ...file, lastUpdated })
      return await this.store(file.name, output)
    } finally {
      this.#files -= 1
    }
  }

  /** Whether a file is on its way in: what can wait should. */
  get isBusy(): boolean {
    return this.#files > 0
  }

  /** Stores resources that are prepared already. Each file's parts of 2,000 arrive one after the other. */
  async store(name: string, output: PrepareOutput): Promise<ImportReport> {
    const parts: Promise<Stored>[] = []
    for (let from = 0; from < output.prepared.length; from += BATCH_VERSIONS)
      parts.push(this.#enqueue(name, output.prepared.slice(from, from + BATCH_VERSIONS)))
    const stored = await Promise.all(parts)
    const versions = stored.flatMap((part) => part.versions)
    const unchanged = stored.reduce((sum, part) => sum + part.unchanged, 0)
    return {
      imported: versions.length + unchanged,
      unchanged,
      rejected: [...output.rejected, ...stored.flatMap((part) => part.rejected)],
      dangling: output.dangling.filter(({ to }) => !this.#isHere(to)),
      newOwners: stored.reduce((sum, part) => sum + part.newOwners, 0),
      organisationOwned: stored.flatMap((part) => part.organisationOwned),
      unheldCodes: output.unheldCodes.map(([system, code, count]) => ({ system, code, count })),
      versions,
    }
  }

  /**
   * Runs `work` while nothing else is stored, and gives it the way to store: all of its writes or none. Throws
   * AppError `CONFLICT`, `OTHER_PATIENT`, `OWNER_ERASED`. `work` must not call other methods of this object.
   */
  async exclusively<T>(
    work: (write: (writes: readonly Write[]) => Promise<ImportedVersion[]>) => Promise<T>,
  ): Promise<T> {
    const step = () => work((writes) => this.#write(writes))
    const mine = this.#turn.then(step, step)
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #write(writes: readonly Write[]): Promise<ImportedVersion[]> {
    const batch = new Batch(this.#parts)
    for (const write of writes) {
      const refused = batch.add(write)
      if (refused !== undefined && refused !== 'unchanged') throw new AppError(refused.code, refused.message)
    }
    return batch.commit()
  }

  #enqueue(name: string, prepared: readonly Prepared[]): Promise<Stored> {
    return new Promise((resolve, reject) => {
      this.#slices.push({ name, prepared, resolve, reject })
      // Whoever is first starts a turn; files that become ready before it runs share its three flushes.
      if (this.#slices.length === 1) void this.exclusively(() => this.#storeSlices())
    })
  }

  async #storeSlices(): Promise<void> {
    const group: Slice[] = []
    let size = 0
    while (this.#slices[0] !== undefined) {
      size += this.#slices[0].prepared.length
      if (group.length > 0 && size > BATCH_VERSIONS) break
      group.push(this.#slices.shift() as Slice)
    }
    if (this.#slices.length > 0) void this.exclusively(() => this.#storeSlices())
    try {
      const batch = new Batch(this.#parts)
      const counts = group.map(({ name, prepared }) => countOf(batch, name, prepared))
      const versions = await batch.commit()
      const made = batch.madePerArrival()
      let from = 0
      for (const [at, { resolve }] of group.entries()) {
        const { arrived, unchanged, rejected, organisationOwned } = counts[at] as Counted
        const to = from + arrived
        const newOwners = made.slice(from, to).filter(Boolean).length
        resolve({ versions: versions.slice(from, to), unchanged, rejected, organisationOwned, newOwners })
        from = to
      }
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  #isHere(reference: string): boolean {
    const recordId = reference.split('/_history/')[0] as string
    return this.#parts.custody.versionByRid(ridOf(this.#parts.ridKey, recordId)) !== undefined
  }
}

/** A part of a file that waits for its turn. */
interface Slice {
  readonly name: string
  readonly prepared: readonly Prepared[]
  readonly resolve: (stored: Stored) => void
  readonly reject: (error: unknown) => void
}

type Stored = Pick<ImportReport, 'versions' | 'unchanged' | 'rejected' | 'organisationOwned' | 'newOwners'>

interface Counted {
  readonly arrived: number
  readonly unchanged: number
  readonly rejected: Rejected[]
  readonly organisationOwned: string[]
}

function countOf(batch: Batch, name: string, prepared: readonly Prepared[]): Counted {
  const rejected: Rejected[] = []
  const organisationOwned: string[] = []
  let unchanged = 0
  for (const one of prepared) {
    const refused = batch.add({ prepared: one })
    if (refused === 'unchanged') unchanged += 1
    else if (refused !== undefined) rejected.push(rejection(name, one, refused))
    else if (batch.lastOwner?.kind === 'organisation') organisationOwned.push(one.recordId)
  }
  return { arrived: prepared.length - unchanged - rejected.length, unchanged, rejected, organisationOwned }
}

type Refused = 'unchanged' | { readonly code: string; readonly message: string }

/** What a batch knows of a record that it has already met, or that is held. */
interface Newest {
  readonly owner: Uint8Array
  readonly version: number
  readonly source: Uint8Array
  readonly digest: Uint8Array
}

/** The writes of one transaction, gathered against what is held. Nothing is changed before `commit`. */
class Batch {
  readonly #parts: IngestParts
  readonly #owners: OwnerCache
  readonly #arrivals: Arrival[] = []
  readonly #newest = new Map<string, Newest>()

  constructor(parts: IngestParts) {
    this.#parts = parts
    this.#owners = new OwnerCache(parts)
  }

  get lastOwner(): OwnerRow | undefined {
    return this.#arrivals.at(-1)?.owner
  }

  /** For each arrival, whether it made its owner. */
  madePerArrival(): boolean[] {
    const made = new Set(this.#made())
    return this.#arrivals.map(({ owner }) => made.delete(owner))
  }

  #made(): OwnerRow[] {
    return this.#owners.madeFor(this.#arrivals.map(({ owner }) => owner))
  }

  add({ prepared, ifVersion, deleted = false, owner: kept }: Write): Refused | undefined {
    const owner = kept ?? this.#owners.resolve(prepared)
    if (owner.status === 'restricted' || owner.status === 'erased') return OWNER_ERASED
    const { recordId } = prepared
    const rid = ridOf(this.#parts.ridKey, recordId)
    const newest = this.#newest.get(recordId) ?? this.#held(rid)
    if (ifVersion !== undefined && (newest?.version ?? 0) !== ifVersion) return CONFLICT
    if (newest !== undefined && !equal(newest.owner, owner.owner)) return OTHER_PATIENT
    if (newest !== undefined && equal(newest.source, prepared.source)) return 'unchanged'
    const version = (newest?.version ?? 0) + 1
    const json = version === 1 ? prepared.json : withVersion(prepared.json, version)
    const digest = sha256(json)
    this.#newest.set(recordId, { owner: owner.owner, version, source: prepared.source, digest })
    this.#arrivals.push({
      owner,
      rid,
      recordId,
      version,
      prev: newest?.digest,
      json,
      digest,
      current: !deleted,
      labels: {
        type: prepared.type,
        compartment: prepared.compartment,
        codes: prepared.codes,
        ...(prepared.fromMs === undefined ? {} : { fromMs: prepared.fromMs }),
        ...(prepared.toMs === undefined ? {} : { toMs: prepared.toMs }),
        source: prepared.source,
        ...(deleted ? { deleted: true } : {}),
      },
      tokens: deleted ? [] : prepared.tokens,
    })
    return undefined
  }

  async commit(): Promise<ImportedVersion[]> {
    if (this.#arrivals.length === 0) return []
    const sealed = await writeVersions(this.#parts, this.#arrivals, this.#made())
    return sealed.map(({ owner, oid, recordId, version }: SealedVersion) => ({
      owner,
      oid,
      recordId,
      version,
    }))
  }

  #held(rid: Uint8Array): Newest | undefined {
    const { custody, keys } = this.#parts
    const row = custody.latestByRid(rid)
    if (row === undefined) return undefined
    const labels: SealedLabels = openLabels(row.sealed, { key: keys.custodyKey(row.owner), oid: row.oid })
    return { owner: row.owner, version: row.version, source: labels.source, digest: labels.digest }
  }
}

const OWNER_ERASED = {
  code: 'OWNER_ERASED',
  message: 'owner: this patient had the record erased; enrol again to add to it',
}
const OTHER_PATIENT = {
  code: 'OTHER_PATIENT',
  message: 'subject: this record is held for somebody else; a record never changes its patient, use a new id',
}
const CONFLICT = {
  code: 'CONFLICT',
  message: 'If-Match: the record has another newest version; read it again and repeat the change',
}

function rejection(
  file: string,
  { entry, recordId, type }: Prepared,
  { code, message }: { code: string; message: string },
): Rejected {
  return { file, entry, type, id: recordId.slice(type.length + 1), code, message }
}
