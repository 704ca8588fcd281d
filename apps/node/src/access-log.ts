import { type AccessFacts, type AuditTrail, encodeEvent } from '@salus/audit'
import type { Access, AccessLog, LoggedAccess } from '@salus/consent/service'
import type { Random } from '@salus/core'
import type { TileLog } from '@salus/log'
import type { CustodyStore, RecordReader } from '@salus/records'

export interface AccessLogParts {
  readonly trail: AuditTrail
  readonly tiles: TileLog
  readonly custody: CustodyStore
  readonly reader: RecordReader
  readonly org: string
  readonly nodeUrl: () => string
  readonly urlOf: (org: string) => string
  readonly random: Random
  /** Shown beside an opaque practitioner id in the patient's own list. */
  readonly nameOf: (org: string, practitioner: string) => string | undefined
}

const VERSIONS_PER_EVENT = 1_000

/** One event lists at most 1,000 versions (architecture §10); more are several events. */
function inPages(access: Access): Access[] {
  const pages: Access[] = [{ ...access, versions: access.versions.slice(0, VERSIONS_PER_EVENT) }]
  for (let from = VERSIONS_PER_EVENT; from < access.versions.length; from += VERSIONS_PER_EVENT)
    pages.push({ ...access, versions: access.versions.slice(from, from + VERSIONS_PER_EVENT) })
  return pages
}

const KIND: Readonly<Record<Access['kind'], AccessFacts['kind']>> = {
  release: 'release',
  refusal: 'release',
  // What was asked for and not received.
  request: 'receive',
  open: 'receive',
  read: 'read',
  search: 'search',
  write: 'create',
  import: 'import',
  export: 'export',
  administer: 'administer',
  preview: 'search',
  revocation: 'administer',
  emergency: 'break-glass',
  review: 'break-glass-end',
}

/** Turns an access into its AuditEvent, records it, and proves that its leaf is in the log. */
export class NodeAccessLog implements AccessLog {
  readonly #parts: AccessLogParts

  constructor(parts: AccessLogParts) {
    this.#parts = parts
  }

  /** Records several accesses with one flush of the log, without proofs: an import makes one per patient. */
  async recordMany(accesses: readonly Access[]): Promise<void> {
    const { trail, random } = this.#parts
    await trail.recordMany(
      accesses.flatMap(inPages).map((access) => {
        const eventId = random(16)
        const { bytes } = encodeEvent(this.#facts(access, eventId))
        return { owner: access.owner, eventId, timeMs: access.timeMs, json: bytes }
      }),
    )
  }

  async record(access: Access): Promise<LoggedAccess> {
    const { trail, tiles, random } = this.#parts
    const eventId = random(16)
    const { bytes } = encodeEvent(this.#facts(access, eventId))
    const event = await trail.record({ owner: access.owner, eventId, timeMs: access.timeMs, json: bytes })
    const { size } = tiles
    const [proof, checkpoint] = await Promise.all([
      tiles.inclusion(event.leafIndex, size),
      tiles.checkpointAt(size),
    ])
    return { eventId, event: bytes, salt: event.salt, leafIndex: event.leafIndex, proof, checkpoint }
  }

  #facts(access: Access, eventId: Uint8Array): AccessFacts {
    const { org, nodeUrl, urlOf, random, nameOf } = this.#parts
    const { actor, note } = access
    const marked = note === 'log-suspect' || note === 'log-forked' ? note : undefined
    const name = actor.practitioner === undefined ? undefined : nameOf(actor.org, actor.practitioner)
    return {
      eventId,
      kind: access.kind === 'preview' && access.versions.length > 0 ? 'read' : KIND[access.kind],
      timeMs: access.timeMs,
      outcome: access.outcome === 'permitted' ? 'permitted' : 'refused',
      reasons: access.reasons ?? (note === undefined || marked !== undefined ? [] : [note]),
      recorder: { org, node: nodeUrl() },
      custodian: { org: access.custodian, node: urlOf(access.custodian) },
      requester: {
        org: actor.org,
        node: urlOf(actor.org),
        ...(actor.unit === undefined ? {} : { unit: actor.unit }),
        ...(actor.practitioner === undefined ? {} : { practitioner: actor.practitioner }),
        ...(name === undefined ? {} : { name }),
        as: this.#as(actor),
      },
      purpose: access.purpose,
      patient: this.#patient(access.owner),
      versions: access.versions.slice(0, 1_000).map(({ oid, recordId, version, viewHash }) => ({
        oid,
        recordId,
        version,
        ...(viewHash === undefined ? {} : { view: viewHash }),
      })),
      ...(access.query === undefined ? {} : { query: access.query }),
      requestId: random(16),
      ...(access.g === undefined || access.requestHash === undefined
        ? {}
        : {
            grant: {
              g: access.g,
              seq: access.seq ?? 0,
              prev: access.prev ?? new Uint8Array(32),
              requestHash: access.requestHash,
            },
          }),
      ...(access.emergency === undefined ? {} : { emergency: access.emergency }),
      head: access.head,
      degraded: access.degraded ?? false,
      ...(marked === undefined ? {} : { marked }),
    }
  }

  #as({ org, practitioner, holder }: Access['actor']): AccessFacts['requester']['as'] {
    if (holder !== undefined) return holder === 'owner' ? 'patient' : 'delegate'
    return practitioner === undefined && org === this.#parts.org ? 'system' : 'practitioner'
  }

  /** The patient's record id here; events of no patient name the organisation. */
  #patient(owner: Uint8Array): string {
    const { custody, reader, org } = this.#parts
    const row = custody.owner(owner)
    if (row === undefined || row.kind !== 'patient') return `Organization/${org}`
    const version = custody.versionByRid(row.rid)
    return version === undefined ? 'Patient/unknown' : reader.labels(version).recordId
  }
}
