import { AppError, decodeVersion, equal, openObject, readHeader, sha256, toHex, utf8 } from '@salus/core'
import type { ReleaseItem } from '../release-reply.ts'
import { viewHashOf } from '../view.ts'

/** A version as the custodian's AuditEvent of a release names it. */
export interface OpenedRecord {
  readonly oid: Uint8Array
  readonly recordId: string
  readonly version: number
  /** `H(view)`, where a view was released. */
  readonly viewHash?: Uint8Array
}

/** A version in clear, with the key it was opened by. */
export interface OpenedItem {
  readonly oid: Uint8Array
  readonly recordId: string
  readonly version: number
  readonly json: Uint8Array
  readonly dek: Uint8Array | undefined
}

/**
 * Holds what was released to what the custodian logged: the same versions, views by their hash. In the order of the
 * items. Throws AppError `REPLY`: an event that tells of less than was released would hide an access.
 */
export function checkOpened(items: readonly ReleaseItem[], logged: readonly OpenedRecord[]): OpenedRecord[] {
  const fail = (rule: string): never => {
    throw new AppError('REPLY', `event: ${rule}`, { field: 'event' })
  }
  const byOid = new Map(logged.map((record) => [toHex(record.oid), record] as const))
  if (byOid.size !== items.length || logged.length !== items.length)
    fail('does not list exactly what was released')
  return items.map((item) => {
    const record = byOid.get(toHex(item.oid))
    if (record === undefined) return fail('does not list a version that was released')
    const { viewHash } = record
    const said = item.kind === 'view' ? viewHashOf(item.view) : undefined
    const same = said === undefined ? viewHash === undefined : viewHash !== undefined && equal(said, viewHash)
    if (!same) fail('names another view than was released')
    return record
  })
}

/**
 * Opens what was released. Ciphertext may come from anywhere: it is known by its address, its header names the
 * version, and the key commitment binds the key. Throws AppError `OBJECT_MISSING`, `OBJECT_ALTERED`, `OPEN_FAILED`.
 */
export async function openItems(
  items: readonly ReleaseItem[],
  records: readonly OpenedRecord[],
  fetchObjects: (addresses: readonly Uint8Array[]) => Promise<readonly (Uint8Array | undefined)[]>,
): Promise<OpenedItem[]> {
  const keyed = items.flatMap((item) => (item.kind === 'dek' ? [item] : []))
  const objects = keyed.length === 0 ? [] : await fetchObjects(keyed.map(({ address }) => address))
  const byOid = new Map(keyed.map(({ oid }, at) => [toHex(oid), objects[at]] as const))
  return items.map((item, at) => {
    const record = records[at] as OpenedRecord
    const { oid } = item
    const named = { oid, recordId: record.recordId, version: record.version }
    if (item.kind === 'view') return { ...named, json: utf8(item.view), dek: undefined }
    if (item.kind === 'share')
      throw new AppError('REPLY', 'items: a share needs its deposit; ask the organisation that wrote it', {
        field: 'items',
      })
    const object = byOid.get(toHex(oid))
    if (object === undefined)
      throw new AppError(
        'OBJECT_MISSING',
        'release: the ciphertext of a released version is nowhere to be had',
      )
    return { ...named, dek: item.dek, json: openOne(object, item, record) }
  })
}

function openOne(
  object: Uint8Array,
  { address, oid, dek }: Extract<ReleaseItem, { kind: 'dek' }>,
  { recordId, version }: OpenedRecord,
): Uint8Array {
  const altered = () =>
    new AppError('OBJECT_ALTERED', 'release: the ciphertext is not the one that was released; try again')
  if (!equal(sha256(object), address) || !equal(readHeader(object).header.oid, oid)) throw altered()
  const opened = decodeVersion(openObject(object, dek))
  if (opened.recordId !== recordId || opened.version !== version) throw altered()
  // A copy: the opened buffer may be shared, and this one is overwritten when the lease ends.
  return Uint8Array.from(opened.json)
}
