import type { Filter, SearchRequest } from '@medplum/core'
import type { Actor } from '@salus/server'
import type { CustodyStore } from '../custody/custody-store.ts'
import type { OwnerRow } from '../custody/rows.ts'
import { definitions } from '../fhir/definitions.ts'
import { parseSearch } from '../fhir/index.ts'
import { houseOwner } from '../ingest/owner-cache.ts'
import { ridOf } from '../owner-keys.ts'
import { badInput, unsupported } from './outcomes.ts'

/** Parameters that name whose record is meant. */
const NAMING: ReadonlySet<string> = new Set([
  'patient',
  'subject',
  'beneficiary',
  'individual',
  'focal-subject',
])

/**
 * Whose records a search is about: one patient's, named by the search or being the holder herself, or the directory's.
 * Undefined when nobody of that name is here, which a reader cannot tell from a record without hits.
 * Throws OperationOutcomeError when the search names no patient or several.
 */
export function searchedOwner(
  request: SearchRequest,
  actor: Actor,
  { custody, ridKey }: { readonly custody: CustodyStore; readonly ridKey: Uint8Array },
): OwnerRow | undefined {
  const named = new Set(
    (request.filters ?? []).flatMap((filter) => patientNamed(request.resourceType, filter)),
  )
  const [name, second] = named
  if (second !== undefined)
    throw unsupported('A search covers one patient at a time. Search for each of them on its own.')
  if (name !== undefined) return custody.ownerByRid(ridOf(ridKey, name))
  if (!isInPatientCompartment(request.resourceType)) return houseOwner(custody, ridKey, 'directory')
  if (actor.kind === 'holder') return custody.owner(actor.owner)
  throw badInput(
    request.resourceType === 'Patient'
      ? 'A search for patients names one by _id. Finding people by name or number belongs to matching, not to search.'
      : `A search for ${request.resourceType} must name its patient, for example ${request.resourceType}?patient=Patient/1.`,
  )
}

function patientNamed(type: string, { code, operator, value }: Filter): string[] {
  if (operator !== 'eq') return []
  if (type === 'Patient') return code === '_id' ? value.split(',').map((id) => `Patient/${id}`) : []
  if (!NAMING.has(code)) return []
  return value.split(',').flatMap((one) => {
    if (/^Patient\/[A-Za-z0-9\-.]{1,64}$/.test(one)) return [one]
    return code === 'patient' && /^[A-Za-z0-9\-.]{1,64}$/.test(one) ? [`Patient/${one}`] : []
  })
}

/**
 * A request as this project parses it. What the router parsed by other rules (conditional writes) goes through text
 * once more, so that no second parser decides what a filter means.
 */
export function reparsed(request: SearchRequest): SearchRequest {
  const query = new URLSearchParams()
  for (const filter of request.filters ?? []) query.append(...parameterOf(filter))
  const { filters } = parseSearch(`${request.resourceType}?${query}`)
  return filters === undefined ? request : { ...request, filters }
}

const PREFIXES: ReadonlySet<string> = new Set(['ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap'])

function parameterOf({ code, operator, value }: Filter): [string, string] {
  if (operator === 'eq') return [code, value]
  if (PREFIXES.has(operator)) return [code, `${operator}${value}`]
  return [`${code}:${operator}`, value]
}

/** Whether R4 counts a type as part of a patient's record; the rest is directory. */
function isInPatientCompartment(type: string): boolean {
  return type === 'Patient' || type in definitions.patientCompartment
}
