import { fromUtf8, sha256, utf8 } from '@salus/core'
import {
  type ExactJson,
  type LooseResource,
  parseReference,
  serialise,
  storedText,
  validate,
  walkReferences,
} from '../fhir/index.ts'
import { type Prepared, prepareOne } from '../ingest/prepare.ts'
import { withVersion } from '../ingest/with-version.ts'
import type { SealedLabels } from '../sealed-labels.ts'
import { badInput, invalidResource } from './outcomes.ts'

/**
 * Makes a resource of a request ready to be stored under `id`: validated, with its owner and label. The server sets
 * `id` and `meta`. Throws OperationOutcomeError, which names elements and rules and repeats no value.
 */
export function prepareWrite(exact: ExactJson, id: string, lastUpdated: string): Prepared {
  const tree = { ...(exact as Record<string, unknown>), id }
  const resource = JSON.parse(serialise(tree)) as LooseResource
  const issues = validate(resource)
  if (issues.length > 0) throw invalidResource(issues)
  const found = { entry: 0, type: resource.resourceType, id, resource, exact: tree }
  const prepared = prepareOne(found, lastUpdated)
  if (prepared.owner.kind === 'organisation' && prepared.owner.reason === 'several-patients')
    throw badInput(
      `${resource.resourceType}: it names more than one patient; a record belongs to one, so store one for each`,
      resource.resourceType,
    )
  return prepared
}

/** `Type/id` of everything on this server that a resource refers to. */
export function targetsOf({ json }: Pick<Prepared, 'json'>): string[] {
  const resource = JSON.parse(fromUtf8(json)) as LooseResource
  return walkReferences(resource).flatMap(({ reference }) => {
    const parts = reference === undefined ? undefined : parseReference(reference)
    return parts === undefined || parts.base !== undefined ? [] : [`${parts.type}/${parts.id}`]
  })
}

/** What a version of that number will hold, byte for byte. */
export function jsonOf(prepared: Prepared, version: number): Uint8Array {
  return version === 1 ? prepared.json : withVersion(prepared.json, version)
}

/**
 * The version that says a record was deleted: an empty resource with the labels of the one before, so that who may
 * know of the deletion is decided like who could read the record.
 */
export function deletionOf(labels: SealedLabels, id: string, lastUpdated: string): Prepared {
  const meta = { versionId: '1', lastUpdated }
  const json = utf8(storedText({ resourceType: labels.type }, { id, meta }))
  return {
    entry: 0,
    recordId: labels.recordId,
    type: labels.type,
    json,
    source: sha256(json),
    // The record keeps its owner; the write names her by row.
    owner: { kind: 'directory' },
    compartment: labels.compartment,
    codes: [],
    tokens: [],
  }
}
