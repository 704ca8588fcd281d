import {
  applyPatch,
  type Operation,
  OperationOutcomeError,
  type SearchRequest,
  type WithId,
} from '@medplum/core'
import {
  type CreateResourceOptions,
  type DeleteResourceOptions,
  FhirRepository,
  getExtraEntries,
  type ReadHistoryOptions,
  type UpdateResourceOptions,
} from '@medplum/fhir-router'
import type { Bundle, BundleEntry, Parameters, Reference, Resource } from '@medplum/fhirtypes'
import { fromUtf8, instantOf, type Random, toHex } from '@salus/core'
import type { Clock } from '@salus/host'
import type { CustodyStore } from '../custody/custody-store.ts'
import type { OwnerRow, VersionRow } from '../custody/rows.ts'
import { loadSearchParameters, loadStructure } from '../fhir/definitions.ts'
import { isKnownType, parseJson } from '../fhir/index.ts'
import type { ImportedVersion, Ingest, Write } from '../ingest/ingest.ts'
import type { Prepared } from '../ingest/prepare.ts'
import { ridOf } from '../owner-keys.ts'
import type { PatientSearch } from '../patient-search.ts'
import type { OpenedVersion, RecordReader } from '../record-reader.ts'
import type { SealedLabels } from '../sealed-labels.ts'
import type { AccessPolicy, RecordAccess, RequestContext } from './access.ts'
import { AccessTally } from './access-tally.ts'
import { ExactNumbers } from './exact-numbers.ts'
import {
  asOutcome,
  badInput,
  deletedRecord,
  mayNotWrite,
  noSuchRecord,
  otherVersion,
  unsupported,
} from './outcomes.ts'
import { reparsed, searchedOwner } from './patient-scope.ts'
import { deletionOf, jsonOf, prepareWrite, targetsOf } from './prepare-write.ts'
import { page, sorted } from './search-page.ts'

export interface RepositoryParts {
  readonly custody: CustodyStore
  readonly reader: RecordReader
  readonly search: PatientSearch
  readonly ingest: Ingest
  readonly ridKey: Uint8Array
  readonly clock: Clock
  readonly random: Random
  readonly permits: AccessPolicy
  /** Resolves when the event is durable. */
  readonly logAccess: (access: RecordAccess) => Promise<void>
}

/**
 * Runs one request against the records of this organisation, and logs it: one event for each patient concerned,
 * durable before the result is handed out, also when the request failed half-way. There is no other way to a
 * repository.
 */
export async function withRepository<T>(
  parts: RepositoryParts,
  context: RequestContext,
  work: (repository: SalusRepository) => Promise<T>,
): Promise<T> {
  const tally = new AccessTally()
  try {
    return await work(new SalusRepository({ parts, context, tally, exact: new ExactNumbers() }))
  } catch (error) {
    throw asOutcome(error)
  } finally {
    await tally.settle(context, parts.logAccess)
  }
}

interface Request {
  readonly parts: RepositoryParts
  readonly context: RequestContext
  readonly tally: AccessTally
  readonly exact: ExactNumbers
}

/** A write that waits for its transaction to end. */
interface Staged {
  readonly write: Write
  readonly owner: OwnerRow | undefined
  readonly version: number
  readonly json: Uint8Array
  readonly action: 'create' | 'update' | 'delete'
}

/**
 * The single point of enforcement: whatever speaks FHIR to this organisation's own records goes through here. Each
 * resource is decided on by its labels before it is opened, in reads, history, searches and includes alike; what is
 * not permitted is not found, and not counted. Restricted and erased owners do not exist.
 */
export class SalusRepository extends FhirRepository {
  readonly #request: Request
  readonly #staged: Staged[] | undefined
  readonly #stored = new WeakMap<object, Uint8Array>()

  /** For `withRepository` only. */
  constructor(request: Request, staged?: Staged[]) {
    super()
    this.#request = request
    this.#staged = staged
  }

  /** Numbers as the request wrote them. */
  get exactNumbers(): ExactNumbers {
    return this.#request.exact
  }

  /** The stored bytes of a resource that this repository returned. */
  storedJson(resource: object): Uint8Array | undefined {
    return this.#stored.get(resource)
  }

  override setMode(): void {
    // One store answers both: there is nothing to choose.
  }

  override generateId(): string {
    const hex = toHex(this.#request.parts.random(16))
    const variant = '89ab'[Number.parseInt(hex[16] as string, 16) & 3] as string
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
  }

  override async readResource<T extends Resource>(type: string, id: string): Promise<WithId<T>> {
    const recordId = recordIdOf(type, id)
    const staged = this.#staged?.findLast(({ write }) => write.prepared.recordId === recordId)
    if (staged !== undefined) {
      if (staged.write.deleted === true) throw deletedRecord()
      return this.#resource<T>(staged.json)
    }
    const newest = this.#request.parts.custody.latestByRid(this.#rid(recordId))
    const labels = this.#readable(newest)
    if (newest === undefined || labels === undefined) throw noSuchRecord()
    if (labels.deleted === true) throw deletedRecord()
    return this.#open(newest, 'read')
  }

  override async readReference<T extends Resource>({ reference }: Reference<T>): Promise<WithId<T>> {
    const [type = '', id = ''] = (reference ?? '').split('/')
    return this.readResource(type, id)
  }

  override async readReferences<T extends Resource>(
    references: readonly Reference<T>[],
  ): Promise<(T | Error)[]> {
    const read: (T | Error)[] = []
    for (const reference of references)
      read.push(
        await this.readReference(reference).catch((error: unknown) => {
          if (error instanceof OperationOutcomeError) return error
          throw error
        }),
      )
    return read
  }

  override async readHistory<T extends Resource>(
    type: string,
    id: string,
    { offset = 0, limit = 100 }: ReadHistoryOptions = {},
  ): Promise<Bundle<WithId<T>>> {
    const { custody } = this.#request.parts
    const visible = custody
      .history(this.#rid(recordIdOf(type, id)))
      .flatMap((row) => (this.#readable(row) === undefined ? [] : [row]))
    if (visible.length === 0) throw noSuchRecord()
    const entry: BundleEntry<WithId<T>>[] = []
    for (const row of visible.slice(offset, offset + limit)) {
      const resource = await this.#open<T>(row, 'read')
      const deleted = this.#readable(row)?.deleted === true
      const url = `${type}/${id}`
      const lastModified = resource.meta?.lastUpdated
      entry.push({
        fullUrl: url,
        ...(deleted ? {} : { resource }),
        request: { method: deleted ? 'DELETE' : row.version === 1 ? 'POST' : 'PUT', url },
        response: {
          status: deleted ? '204' : row.version === 1 ? '201' : '200',
          etag: `W/"${row.version}"`,
          ...(lastModified === undefined ? {} : { lastModified }),
        },
      })
    }
    return { resourceType: 'Bundle', type: 'history', total: visible.length, entry }
  }

  override async readVersion<T extends Resource>(type: string, id: string, vid: string): Promise<WithId<T>> {
    const version = /^[1-9]\d{0,9}$/.test(vid) ? Number(vid) : 0
    const row = this.#request.parts.custody.versionByRid(this.#rid(recordIdOf(type, id)), version)
    const labels = this.#readable(row)
    if (row === undefined || labels === undefined) throw noSuchRecord()
    if (labels.deleted === true) throw deletedRecord()
    return this.#open(row, 'read')
  }

  override async createResource<T extends Resource>(
    resource: T,
    { assignedId = false }: CreateResourceOptions = {},
  ): Promise<WithId<T>> {
    const id = assignedId && resource.id !== undefined ? resource.id : this.generateId()
    return this.withTransaction((transaction) =>
      transaction.#stage<T>(resource, id, { action: 'create', ifVersion: 0 }),
    )
  }

  override async updateResource<T extends Resource>(
    resource: T,
    { ifMatch }: UpdateResourceOptions = {},
  ): Promise<WithId<T>> {
    const { id } = resource
    if (id === undefined) throw badInput('An update names its resource by id.', `${resource.resourceType}.id`)
    return this.withTransaction((transaction) =>
      transaction.#stage<T>(resource, id, {
        action: 'update',
        ...(ifMatch === undefined ? {} : { ifVersion: versionOf(ifMatch) }),
      }),
    )
  }

  override async patchResource<T extends Resource>(
    type: T['resourceType'],
    id: string,
    patch: Operation[] | Parameters,
    { ifMatch }: UpdateResourceOptions = {},
  ): Promise<WithId<T>> {
    if (!Array.isArray(patch))
      throw unsupported('PATCH takes a JSON Patch (RFC 6902). FHIRPath Patch is not supported yet.')
    return this.withTransaction(async (transaction) => {
      const current = await transaction.readResource(type, id)
      const { exact } = parseJson(fromUtf8(transaction.storedJson(current) as Uint8Array))
      const failed = applyPatch(exact, patch).find((error) => error !== null)
      // The library's text would quote values.
      if (failed !== undefined)
        throw badInput('The patch does not fit the resource: a path or a test failed.')
      const { resourceType, id: patchedId } = exact as { resourceType?: unknown; id?: unknown }
      if (resourceType !== type || patchedId !== id)
        throw badInput('A patch changes neither resourceType nor id.')
      return transaction.#stage<T>(exact as T, id, {
        action: 'update',
        ifVersion: ifMatch === undefined ? versionOf(current.meta?.versionId) : versionOf(ifMatch),
      })
    })
  }

  override async deleteResource(
    type: string,
    id: string,
    { ifMatch }: DeleteResourceOptions = {},
  ): Promise<void> {
    if (type === 'Patient')
      throw unsupported(
        'A patient is not deleted but erased, at her own request: see the erasure of records.',
      )
    await this.withTransaction(async (transaction) =>
      transaction.#stageDeletion(recordIdOf(type, id), id, ifMatch),
    )
  }

  override async search<T extends Resource>(asked: SearchRequest<T>): Promise<Bundle<WithId<T>>> {
    if ((asked.types ?? []).length > 0) throw unsupported('A search is about one type. Search type by type.')
    if (!isKnownType(asked.resourceType)) throw noSuchRecord()
    const request = reparsed(asked)
    const { parts, context, tally } = this.#request
    const owner = searchedOwner(request, context.actor, parts)
    const query = queryText(request)
    if (owner !== undefined && !this.#permits(owner, 'read')) {
      tally.note(owner, 'search', { outcome: 'denied', query })
      return page(request, [], undefined) as Bundle<WithId<T>>
    }
    const hits = owner === undefined ? [] : await this.#matches(owner, request)
    if (owner !== undefined) tally.note(owner, 'search', { query })
    const ordered = sorted(request, hits)
    const answer = page(request, ordered, (hit) => this.#hand(hit, 'search'))
    const entries = (answer.entry ?? []) as BundleEntry[]
    if (request.include !== undefined || request.revInclude !== undefined) {
      const matches = entries.flatMap(({ resource }) => (resource === undefined ? [] : [resource]))
      for (const { resourceType } of [...(request.include ?? []), ...(request.revInclude ?? [])]) {
        if (!isKnownType(resourceType)) throw badInput('An include names its type: Type:parameter.')
        loadStructure(resourceType)
        loadSearchParameters(resourceType)
      }
      await getExtraEntries(this, request, matches, entries, {
        fullUrl: (type, id) => `${type}/${id}`,
        executeSearch: (more) => this.#revIncluded(owner, more),
      })
    }
    return answer as Bundle<WithId<T>>
  }

  override async searchByReference<T extends Resource>(): Promise<Record<string, WithId<T>[]>> {
    throw unsupported('Searching by many references at once (GraphQL) is not supported yet.')
  }

  /**
   * Runs `callback` on a repository whose writes are stored together, all or none, when it ends; until then nothing
   * else is stored. Reads inside see what was written so far by id; searches see what is stored.
   */
  override async withTransaction<TResult>(
    callback: (transaction: this) => Promise<TResult>,
  ): Promise<TResult> {
    if (this.#staged !== undefined) return callback(this)
    return this.#request.parts.ingest.exclusively(async (write) => {
      const staged: Staged[] = []
      const transaction = new SalusRepository(this.#request, staged)
      const result = await callback(transaction as this)
      // The router would tell an unknown error by its text alone.
      const stored = await write(staged.map((each) => each.write)).catch((error: unknown) => {
        throw asOutcome(error)
      })
      this.#noteWrites(staged, stored)
      for (const each of staged) transaction.#copyStored(this, each)
      return result
    })
  }

  /** Hands the bytes of what a transaction returned to the repository that the request knows. */
  #copyStored(to: SalusRepository, { json }: Staged): void {
    for (const resource of this.#returned)
      if (this.#stored.get(resource) === json) to.#stored.set(resource, json)
  }

  readonly #returned = new Set<object>()

  async #stage<T extends Resource>(
    resource: T,
    id: string,
    { action, ifVersion }: { readonly action: 'create' | 'update'; readonly ifVersion?: number },
  ): Promise<WithId<T>> {
    const { parts } = this.#request
    const exact = this.exactNumbers.of(resource)
    const prepared = prepareWrite(exact, id, instantOf(parts.clock.now()))
    // First of all, so that who may write nothing of the kind is not told who or what is held here.
    if (!this.#permits({ ...NOBODY, kind: prepared.owner.kind }, 'write')) throw mayNotWrite()
    const newest = parts.custody.latestByRid(this.#rid(prepared.recordId))
    if (newest !== undefined && (this.#writable(newest) === undefined || action === 'create'))
      throw noSuchRecord()
    const owner = this.#ownerFor(prepared)
    this.#checkTargets(prepared, owner)
    const before = this.#newestVersion(prepared.recordId, newest)
    if (ifVersion !== undefined && ifVersion !== before) throw otherVersion()
    const unchanged = newest !== undefined && sameSource(parts.reader.labels(newest), prepared)
    if (unchanged && before === newest.version) return this.#open<T>(newest, 'update')
    const json = jsonOf(prepared, before + 1)
    const told = before === 0 ? 'create' : action
    // The first write of a transaction is held against what is stored; the ones after it follow from it.
    const guard = before === (newest?.version ?? 0) ? { ifVersion: before } : {}
    this.#staged?.push({ write: { prepared, ...guard }, owner, version: before + 1, json, action: told })
    return this.#resource<T>(json)
  }

  #stageDeletion(recordId: string, id: string, ifMatch: string | undefined): void {
    const { custody, clock } = this.#request.parts
    const newest = custody.latestByRid(this.#rid(recordId))
    const labels = this.#readable(newest)
    if (newest === undefined || labels === undefined || labels.deleted === true) throw noSuchRecord()
    if (this.#writable(newest) === undefined) throw mayNotWrite()
    const before = this.#newestVersion(recordId, newest)
    if (ifMatch !== undefined && versionOf(ifMatch) !== before) throw otherVersion()
    const owner = custody.owner(newest.owner)
    const prepared = deletionOf(labels, id, instantOf(clock.now()))
    const write: Write = { prepared, deleted: true, ...(owner === undefined ? {} : { owner }) }
    this.#staged?.push({
      write,
      owner,
      version: before + 1,
      json: jsonOf(prepared, before + 1),
      action: 'delete',
    })
  }

  /** The owner that a write goes to; undefined for a patient who arrives with it. */
  #ownerFor({ owner, type, recordId }: Prepared): OwnerRow | undefined {
    const { custody, ridKey } = this.#request.parts
    const name = owner.kind === 'patient' ? owner.name : `~${owner.kind}`
    const row = custody.ownerByRid(ridOf(ridKey, name))
    if (row === undefined) {
      const arrives =
        type === 'Patient' || this.#staged?.some(({ write }) => write.prepared.recordId === name) === true
      if (owner.kind === 'patient' && !arrives)
        throw badInput(`${recordId.split('/')[0]}: its patient is not held here; create the Patient first`)
      // A new owner is asked about as one whose record is empty.
      const stranger = { ...NOBODY, kind: owner.kind }
      if (!this.#permits(stranger, 'write')) throw mayNotWrite()
      return undefined
    }
    if (!this.#permits(row, 'write')) throw mayNotWrite()
    return row
  }

  /** A record never refers into another patient's record (protocol §14, cross-patient reference). */
  #checkTargets(prepared: Prepared, owner: OwnerRow | undefined): void {
    const { custody } = this.#request.parts
    for (const target of targetsOf(prepared)) {
      if (target.startsWith('Patient/')) continue
      const held = custody.versionByRid(this.#rid(target))
      const other = held === undefined ? undefined : custody.owner(held.owner)
      if (other?.kind === 'patient' && toHex(other.owner) !== (owner === undefined ? '' : toHex(owner.owner)))
        throw badInput(
          `${prepared.type}: a reference leads into another patient's record; refer to records of this patient only`,
          prepared.type,
        )
    }
  }

  #newestVersion(recordId: string, newest: VersionRow | undefined): number {
    const staged = this.#staged?.findLast(({ write }) => write.prepared.recordId === recordId)
    return staged?.version ?? newest?.version ?? 0
  }

  #noteWrites(staged: readonly Staged[], stored: readonly ImportedVersion[]): void {
    const { custody } = this.#request.parts
    for (const { owner, oid, recordId, version } of stored) {
      const row = custody.owner(owner)
      const action = staged.find(
        (each) => each.write.prepared.recordId === recordId && each.version === version,
      )?.action
      if (row !== undefined)
        this.#request.tally.note(row, action ?? 'update', { versions: [{ oid, recordId, version }] })
    }
  }

  async #matches(owner: OwnerRow, request: SearchRequest): Promise<OpenedVersion[]> {
    return this.#request.parts.search.matches(owner.owner, request, (labels) =>
      this.#permits(owner, 'read', labels),
    )
  }

  async #revIncluded(owner: OwnerRow | undefined, request: SearchRequest): Promise<WithId<Resource>[]> {
    if (owner === undefined) return []
    const hits = await this.#matches(owner, reparsed(request))
    return hits.map((hit) => this.#hand(hit, 'search'))
  }

  /** Labels of a version that may be read; undefined, and noted as denied, otherwise. */
  #readable(row: VersionRow | undefined): SealedLabels | undefined {
    if (row === undefined || row.custodyWrap === undefined) return undefined
    const owner = this.#request.parts.custody.owner(row.owner)
    if (owner === undefined || row.state === 'restricted') return undefined
    const labels = this.#request.parts.reader.labels(row)
    if (this.#permits(owner, 'read', labels)) return labels
    this.#request.tally.note(owner, 'read', { outcome: 'denied' })
    return undefined
  }

  #writable(row: VersionRow): SealedLabels | undefined {
    const owner = this.#request.parts.custody.owner(row.owner)
    if (owner === undefined || row.custodyWrap === undefined || row.state === 'restricted') return undefined
    const labels = this.#request.parts.reader.labels(row)
    return this.#permits(owner, 'write', labels) ? labels : undefined
  }

  #permits(owner: OwnerRow, action: 'read' | 'write', labels?: SealedLabels): boolean {
    const { parts, context } = this.#request
    return parts.permits({ ...context, action, owner, ...(labels === undefined ? {} : { labels }) })
  }

  async #open<T extends Resource>(row: VersionRow, action: 'read' | 'update'): Promise<WithId<T>> {
    return this.#hand<T>(await this.#request.parts.reader.open(row), action)
  }

  /** Turns an opened version into a resource; notes that it goes out. */
  #hand<T extends Resource>(
    { row, labels, json }: OpenedVersion,
    action: 'read' | 'search' | 'update',
  ): WithId<T> {
    const owner = this.#request.parts.custody.owner(row.owner)
    const versions = [{ oid: row.oid, recordId: labels.recordId, version: row.version }]
    if (owner !== undefined) this.#request.tally.note(owner, action, { versions })
    return this.#resource<T>(json)
  }

  #resource<T extends Resource>(json: Uint8Array): WithId<T> {
    const resource = JSON.parse(fromUtf8(json)) as WithId<T>
    this.#stored.set(resource, json)
    this.#returned.add(resource)
    return resource
  }

  #rid(recordId: string): Uint8Array {
    return ridOf(this.#request.parts.ridKey, recordId)
  }
}

const NOBODY: OwnerRow = {
  owner: new Uint8Array(16),
  rid: new Uint8Array(16),
  kind: 'patient',
  status: 'unclaimed',
  retainUntilMs: undefined,
  linkKey: undefined,
  sub: undefined,
  card: undefined,
}

function recordIdOf(type: string, id: string): string {
  if (!isKnownType(type) || !/^[A-Za-z0-9\-.]{1,64}$/.test(id)) throw noSuchRecord()
  loadStructure(type)
  return `${type}/${id}`
}

/** A version that no record has (−1) where the text is none: nothing matches it. */
function versionOf(text: string | undefined): number {
  return text !== undefined && /^[1-9]\d{0,9}$/.test(text) ? Number(text) : -1
}

function sameSource({ source, deleted }: SealedLabels, prepared: Prepared): boolean {
  return deleted !== true && toHex(source) === toHex(prepared.source)
}

function queryText({ resourceType, filters = [] }: SearchRequest): string {
  return `${resourceType}?${filters.map(({ code, operator, value }) => `${code}${operator === 'eq' ? '' : `:${operator}`}=${value}`).join('&')}`
}
