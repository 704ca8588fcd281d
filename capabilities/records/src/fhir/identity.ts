import { hash, toHex } from '@salus/core'
import { RESOURCE_TYPES } from './definitions.ts'
import { type Candidate, isPlainObject } from './file-entries.ts'
import { type ExactJson, serialise } from './json.ts'
import { parseReference } from './references.ts'
import type { IssueCode } from './types.ts'

const ID = /^[A-Za-z0-9\-.]{1,64}$/
/** Longest text that can stand where a type or an id belongs and is repeated in a report. */
const REPORTED_CHARACTERS = 64

export interface Identified extends Candidate {
  readonly type: string
  readonly id: string
}

/** Gives each candidate its type and id, or the reason why it has none. */
export function identified(candidates: readonly Candidate[]): Identified[] {
  const out: Identified[] = []
  const taken = new Map<string, Identified>()
  for (const item of candidates) {
    const named = identify(item)
    const clash = named.failure ? undefined : taken.get(`${named.type}/${named.id}`)
    if (!clash) {
      if (!named.failure) taken.set(`${named.type}/${named.id}`, named)
      out.push(named)
      continue
    }
    // Two entries of one id: the bundle's own name tells them apart, where it has one.
    const other = uuidOf(item.fullUrl)
    const free = other !== undefined && other !== named.id && !taken.has(`${named.type}/${other}`)
    const again: Identified = free
      ? { ...named, id: other }
      : serialise(clash.exact) === serialise(item.exact)
        ? named
        : {
            ...named,
            failure: {
              code: 'DUPLICATE_ID',
              message:
                'An earlier entry of this file has the same type and id but other content. Give each its own id.',
            },
          }
    if (!again.failure) taken.set(`${again.type}/${again.id}`, again)
    out.push(again)
  }
  return out
}

function identify(item: Candidate): Identified {
  const failure = (code: IssueCode, message: string, type = '', id = ''): Identified => ({
    ...item,
    type: type.slice(0, REPORTED_CHARACTERS),
    id: id.slice(0, REPORTED_CHARACTERS),
    failure: { code, message },
  })
  if (item.failure) return { ...item, type: '', id: '' }
  if (!isPlainObject(item.value))
    return failure('NOT_A_RESOURCE', 'This is not a JSON object. Give a FHIR resource.')
  const { resourceType: type, id } = item.value as { resourceType?: unknown; id?: unknown }
  if (typeof type !== 'string')
    return failure('NOT_A_RESOURCE', 'resourceType is missing. Name the type of the resource.')
  const shownId = typeof id === 'string' && ID.test(id) ? id : ''
  if (!RESOURCE_TYPES.has(type)) {
    // A type is repeated only when it looks like one: anything may stand there.
    const shown = /^[A-Za-z]{1,64}$/.test(type) ? type : ''
    return failure(
      'UNKNOWN_TYPE',
      'FHIR R4 (4.0.1) has no resource of this type. Use a type of R4, spelled as there.',
      shown,
      shownId,
    )
  }
  if (item.request !== undefined && /^PATCH | [^ ]*\$/.test(item.request)) {
    return failure(
      'NOT_A_RECORD',
      'This is the input of an operation or a patch, not a record. Send it to the API.',
      type,
      shownId,
    )
  }
  if (id === undefined)
    return {
      ...item,
      type,
      id: uuidOf(item.fullUrl) ?? urlIdOf(item.fullUrl, type) ?? contentId(type, item.exact),
    }
  if (shownId !== '') return { ...item, type, id: shownId }
  const uuid = uuidOf(item.fullUrl)
  return uuid === undefined
    ? failure('INVALID_ID', 'The id is not a FHIR id. Use 1 to 64 of A–Z, a–z, 0–9, - and .', type)
    : { ...item, type, id: uuid }
}

function uuidOf(fullUrl: string | undefined): string | undefined {
  const uuid = fullUrl?.startsWith('urn:uuid:') ? fullUrl.slice('urn:uuid:'.length) : undefined
  return uuid !== undefined && ID.test(uuid) ? uuid : undefined
}

function urlIdOf(fullUrl: string | undefined, type: string): string | undefined {
  const parts = fullUrl === undefined ? undefined : parseReference(fullUrl)
  return parts?.type === type ? parts.id : undefined
}

/** An id for what has none: from the content, so that a second import finds the same record. */
function contentId(type: string, exact: ExactJson): string {
  return toHex(hash('salus/import-id/v1', type, serialise(exact)).subarray(0, 16))
}
