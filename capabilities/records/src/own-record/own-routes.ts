import { AppError, bytes, fromUtf8, list, object, optional, type Random, toBase64url } from '@salus/core'
import { type Call, type Holder, json, type Route, route } from '@salus/server'
import { MAX_ARCHIVE_CHARACTERS } from '../archive/archive-format.ts'
import { type ExportParts, exportArchive } from '../archive/export-archive.ts'
import { type ArchiveImportParts, importArchive } from '../archive/import-archive.ts'
import type { OwnerRow } from '../custody/rows.ts'
import type { Erasure } from '../erasure/erasure.ts'
import {
  MAX_OWN_OBJECT_BYTES,
  type OwnRecordParts,
  type OwnVersionForm,
  ownVersionForm,
  type Rewrap,
  replaceWraps,
  rewrapForm,
  storeOwnVersion,
} from './patient-made.ts'

const MAX_WRAPS = 1_000
const MAX_ERASED = 10_000

export interface OwnRoutesParts extends OwnRecordParts, ExportParts, ArchiveImportParts {
  readonly random: Random
  readonly erasure: Erasure
  /** Logs what an owner did with her own record, before she is answered. */
  readonly logOwn: (
    holder: Holder,
    act: { readonly kind: 'store' | 'export' | 'import' | 'erase' | 'rewrap'; readonly count: number },
  ) => Promise<void>
}

/** What an owner does with her record herself: her own entries, everything in one file, erasure. */
export function ownRoutes(parts: OwnRoutesParts): Route[] {
  return [
    route<OwnVersionForm>({
      method: 'POST',
      path: '/me/records',
      summary: 'Store a version that I made and sealed on my device; the organisation cannot read it',
      audience: 'holder',
      body: ownVersionForm,
      maxBodyBytes: Math.ceil((MAX_OWN_OBJECT_BYTES * 4) / 3) + 16 * 1024,
      async handle(call) {
        const holder = herself(call)
        const { oid, leafIndex } = await storeOwnVersion(parts, holder.owner, call.body)
        await parts.logOwn(holder, { kind: 'store', count: 1 })
        return json({ oid: toBase64url(oid), leafIndex }, 201)
      },
    }),
    route<{ wraps: Rewrap[] }>({
      method: 'PUT',
      path: '/me/wraps',
      summary: 'New wraps of versions that only I can read, after an epoch changed',
      audience: 'holder',
      maxBodyBytes: 4 * 1024 * 1024,
      body: object('Wraps', { wraps: list(rewrapForm, { min: 1, max: MAX_WRAPS }) }),
      async handle(call) {
        const holder = herself(call)
        await replaceWraps(parts, holder.owner, call.body.wraps)
        await parts.logOwn(holder, { kind: 'rewrap', count: call.body.wraps.length })
        return json({ wrapped: call.body.wraps.length })
      },
    }),
    {
      method: 'GET',
      path: '/me/export',
      summary: 'Everything that this organisation holds of me, as one archive file (docs/spec/archive.md)',
      audience: 'holder',
      async handle(call) {
        const holder = herself(call)
        const { text, versions } = await exportArchive(parts, holder.owner)
        await parts.logOwn(holder, { kind: 'export', count: versions })
        return {
          headers: { 'content-disposition': 'attachment; filename="record.salus.json"' },
          raw: { type: 'application/json', body: text },
        }
      },
    },
    {
      method: 'POST',
      path: '/me/import',
      summary: 'Bring my archive here: this organisation becomes custodian of copies, byte for byte',
      audience: 'holder',
      rawBody: 'application/json',
      maxBodyBytes: MAX_ARCHIVE_CHARACTERS,
      async handle(call: Call<Uint8Array>) {
        const holder = herself(call)
        const report = await importArchive(parts, ownerOf(parts, holder), archiveTextOf(call.body))
        await parts.logOwn(holder, { kind: 'import', count: report.imported })
        return json(report)
      },
    } as Route,
    route<{ oids?: Uint8Array[] }>({
      method: 'POST',
      path: '/me/erase',
      summary:
        'Erase my record, or some versions of it; what the law keeps is hidden until its date, with a receipt',
      audience: 'holder',
      body: object('What to erase', {
        oids: optional(list(bytes('Version', { length: 16 }), { min: 1, max: MAX_ERASED })),
      }),
      maxBodyBytes: 1024 * 1024,
      async handle(call) {
        const holder = herself(call)
        const { oids } = call.body
        const result = await parts.erasure.erase(holder.owner, {
          requestId: parts.random(16),
          ...(oids === undefined ? {} : { oids }),
        })
        await parts.logOwn(holder, { kind: 'erase', count: result.destroyed + result.restricted })
        const receipts = result.receipts.map((receipt) => ({
          bytes: toBase64url(receipt.bytes),
          sig: toBase64url(receipt.sig),
          salt: toBase64url(receipt.salt),
        }))
        return json({ ...result, receipts })
      },
    }),
  ]
}

/** These acts are the owner's alone: a delegate reads, she does not decide what becomes of the record. */
function herself({ actor }: Call<unknown>): Holder {
  const holder = actor as Holder
  if (holder.delegation !== undefined)
    throw new AppError('FORBIDDEN', 'actor: only the owner herself may do this; a delegate may not')
  return holder
}

function ownerOf({ custody }: OwnRecordParts, { owner }: Holder): OwnerRow {
  const row = custody.owner(owner)
  if (row === undefined || row.status === 'restricted' || row.status === 'erased')
    throw new AppError('NOT_FOUND', 'owner: no record of yours is open here; enrol first')
  return row
}

function archiveTextOf(body: Uint8Array): string {
  try {
    return fromUtf8(body)
  } catch (cause) {
    throw new AppError('BAD_REQUEST', 'body: must be UTF-8 text', {}, { cause })
  }
}
