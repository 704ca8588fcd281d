import { AppError, bytes, encode, fromUtf8, list, object, toBase64url, tuple } from '@salus/core'
import {
  type Answer,
  type Holder,
  json,
  type Route,
  bytes as rawAnswer,
  route,
  type Staff,
} from '@salus/server'
import type { ObjectStore } from '@salus/vault'
import type { CustodyStore } from './custody/custody-store.ts'
import type { VersionRow } from './custody/rows.ts'
import type { ResourceCompartment } from './fhir/index.ts'
import type { ImportReport, Ingest } from './ingest/ingest.ts'
import type { RecordReader } from './record-reader.ts'

const CBOR = 'application/cbor'
/** Largest file that one request imports. */
const MAX_IMPORT_BYTES = 64 * 1024 * 1024
const MAX_OBJECTS = 1_000
const VERSIONS_PER_PAGE = 2_000

export interface RecordsRoutesParts {
  readonly custody: CustodyStore
  readonly ingest: Ingest
  readonly vault: Pick<ObjectStore, 'get'>
  readonly reader: Pick<RecordReader, 'labels'>
  /**
   * The categories that a delegate is told of: her mandate's. Throws AppError `FORBIDDEN` where it ended or was not
   * shown here.
   */
  readonly mandateOf: (delegate: Holder) => readonly ResourceCompartment[]
  /** Logs an import: one event per patient concerned. */
  readonly logImport: (staff: Staff, report: ImportReport) => Promise<void>
  /** Logs that the owner listed her own versions. */
  readonly logOwnList: (holder: Holder, count: number) => Promise<void>
  /** Keeps an owner's write card. */
  readonly setCard: (holder: Holder, card: { bytes: Uint8Array; sig: Uint8Array }) => Promise<number>
}

/** The HTTP surface of records: imports, the owner's own way to her record, ciphertext. */
export function recordsRoutes(parts: RecordsRoutesParts): Route[] {
  const { custody, ingest, vault, reader } = parts
  /** What a holder is told of: everything of hers, or what a delegate's mandate names. */
  const shownTo = (holder: Holder): ((row: VersionRow) => boolean) => {
    if (holder.delegation === undefined) return () => true
    const named = new Set(parts.mandateOf(holder))
    return (row) => named.has(reader.labels(row).compartment)
  }
  return [
    {
      method: 'POST',
      path: '/import',
      summary:
        'Import a FHIR R4 file: a bundle, one resource, or ndjson; every resource arrives or is named as rejected',
      audience: 'admin',
      rawBody: 'application/fhir+json',
      maxBodyBytes: MAX_IMPORT_BYTES,
      query: { name: 'Name of the file, for the report' },
      async handle({ actor, body, query }) {
        const name = query['name'] ?? 'upload'
        if (name.length > 200) throw new AppError('BAD_REQUEST', 'name: may have 200 characters')
        const report = await ingest.importFile({ name, text: textOf(body) })
        await parts.logImport(actor as Staff, report)
        const { versions, ...told } = report
        return json({ ...told, versions: versions.length })
      },
    },
    {
      method: 'GET',
      path: '/me',
      summary: 'Who I am to this organisation, and how much it holds of me',
      audience: 'holder',
      handle({ actor }) {
        const holder = actor as Holder
        const { owner } = holder
        const row = custody.owner(owner)
        if (row === undefined) throw new AppError('NOT_FOUND', 'owner: nothing is held of you here')
        const versions =
          holder.delegation === undefined
            ? custody.countVersions(owner)
            : [...custody.versions(owner)].filter(shownTo(holder)).length
        return json({ status: row.status, versions })
      },
    },
    route<{ card: Uint8Array; sig: Uint8Array }>({
      method: 'PUT',
      path: '/me/card',
      summary: 'My new write card: what this organisation seals to from now on',
      audience: 'holder',
      body: object('A write card', {
        card: bytes('Card', { max: 32 * 1024 }),
        sig: bytes('Signature of the link key, type card', { length: 64 }),
      }),
      async handle({ actor, body }) {
        const holder = actor as Holder
        if (holder.delegation !== undefined)
          throw new AppError('FORBIDDEN', 'session: is a delegate’s; the card is the person’s own')
        const wrapped = await parts.setCard(holder, { bytes: body.card, sig: body.sig })
        return json({ wrapped })
      },
    }),
    {
      method: 'GET',
      path: '/me/versions',
      summary:
        'My record versions, with the wraps that my own keys open; pages by `after`. A delegate gets those of her mandate',
      audience: 'holder',
      query: { after: 'The `next` of the page before' },
      async handle({ actor, query }): Promise<Answer> {
        const holder = actor as Holder
        const after = Number(query['after'] ?? 0)
        if (!Number.isSafeInteger(after) || after < 0)
          throw new AppError('BAD_REQUEST', 'after: must be a number')
        const shown = shownTo(holder)
        const page = custody.versions(holder.owner, { after, limit: VERSIONS_PER_PAGE })
        const rows = page.filter(shown)
        const needed = new Set(rows.flatMap(({ batch }) => (batch === undefined ? [] : [toBase64url(batch)])))
        const batches = custody.batches(holder.owner).filter(({ batch }) => needed.has(toBase64url(batch)))
        await parts.logOwnList(holder, rows.length)
        return rawAnswer(
          encode({
            versions: rows.map((row) => ({
              oid: row.oid,
              address: row.address,
              version: row.version,
              current: row.current,
              leafIndex: row.leafIndex,
              state: row.state,
              batch: row.batch ?? null,
              wrap: row.ownerWrap ?? null,
            })),
            batches: batches.map(({ batch, comp, epoch, enc }) => ({ batch, comp, epoch, enc })),
            next: page.length < VERSIONS_PER_PAGE ? null : (page.at(-1)?.seq ?? null),
          }),
          CBOR,
        )
      },
    },
    route<{ addresses: Uint8Array[] }>({
      method: 'POST',
      path: '/objects',
      summary: 'Ciphertext by address; opens nothing without a key',
      audience: 'anyone',
      body: object('Addresses', {
        addresses: list(bytes('SHA-256 of the object', { length: 32 }), { min: 1, max: MAX_OBJECTS }),
      }),
      async handle({ body }) {
        const objects = await Promise.all(body.addresses.map((address) => vault.get(address)))
        return rawAnswer(tuple(...objects.map((object) => object ?? null)), CBOR)
      },
    }),
  ]
}

function textOf(body: Uint8Array): string {
  try {
    return fromUtf8(body)
  } catch (cause) {
    throw new AppError('BAD_REQUEST', 'body: must be UTF-8 text', {}, { cause })
  }
}
