import { definitions } from './definitions.ts'
import { parseReference, walkReferences } from './references.ts'
import type { LooseResource } from './types.ts'

/**
 * Whose a resource is (protocol §2, Owner).
 *
 * `patient`: `name` is `Patient/<id>`, or the reference as written where it does not name a patient of this server
 * (`http://…/Patient/1`, `urn:uuid:…`, `Patient?identifier=…`); the custodian makes an unclaimed owner for a name it
 * does not know. `directory`: names nobody. `organisation`: never released under a grant.
 */
export type Owner =
  | { readonly kind: 'patient'; readonly name: string }
  | { readonly kind: 'directory' }
  | { readonly kind: 'organisation'; readonly reason: 'several-patients' | 'unnamed-patient' }

interface Mentions {
  readonly names: Set<string>
  unnamed: boolean
}

interface Element {
  readonly path: readonly string[]
  /** The element is there to name a patient, so that a reference without a type in it means one. */
  readonly namesPatient: boolean
}

/**
 * The R4 Patient compartment definition decides. Two additions where it is silent, because a directory resource must
 * not name a patient: a reference to a patient anywhere inside counts, and so do patients inside a nested bundle.
 * `ownerOfTarget`, where given, tells whose a Provenance, List or Linkage is that only names records.
 */
export function ownerOf(
  resource: LooseResource,
  ownerOfTarget?: (typeAndId: string) => Owner | undefined,
): Owner {
  if (resource.resourceType === 'Patient' && resource.id !== undefined) {
    // A link to another patient record does not make a Patient somebody else's.
    return { kind: 'patient', name: `Patient/${resource.id}` }
  }
  const mentions: Mentions = { names: new Set(), unnamed: false }
  for (const element of elementsOf(resource.resourceType)) {
    for (const node of nodesAt(resource, element.path, 0))
      mention(node, element.namesPatient, resource, mentions)
  }
  if (isSilent(mentions)) mentionAnywhere(resource, mentions)
  if (isSilent(mentions) && ownerOfTarget && NAMES_RECORDS.has(resource.resourceType)) {
    for (const { reference } of walkReferences(resource)) {
      const owner = reference === undefined ? undefined : ownerOfTarget(reference)
      if (owner?.kind === 'patient') mentions.names.add(owner.name)
      if (owner?.kind === 'organisation') mentions.unnamed = true
    }
  }
  // A Binary has no element for its patient, so silence does not mean that it is about nobody.
  if (isSilent(mentions) && resource.resourceType === 'Binary') mentions.unnamed = true
  return ownerFrom(mentions)
}

const NAMES_RECORDS: ReadonlySet<string> = new Set(['Provenance', 'List', 'Linkage'])

function isSilent(mentions: Mentions): boolean {
  return mentions.names.size === 0 && !mentions.unnamed
}

function ownerFrom(mentions: Mentions): Owner {
  const [name, second] = mentions.names
  if (name === undefined) {
    return mentions.unnamed ? { kind: 'organisation', reason: 'unnamed-patient' } : { kind: 'directory' }
  }
  if (second !== undefined || mentions.unnamed) return { kind: 'organisation', reason: 'several-patients' }
  return { kind: 'patient', name }
}

const elements = new Map<string, readonly Element[]>()

/** The elements by which a type belongs to a patient: the definition names search parameters, these their paths. */
function elementsOf(type: string): readonly Element[] {
  const known = elements.get(type)
  if (known) return known
  const list: Element[] = []
  for (const code of definitions.patientCompartment[type] ?? []) {
    const parameter = definitions.searchParameters.find((p) => p.code === code && p.base.includes(type))
    for (const part of parameter?.expression.split('|') ?? []) {
      const path = part.trim().replace('.where(resolve() is Patient)', '')
      if (!path.startsWith(`${type}.`)) continue
      list.push({ path: path.split('.').slice(1), namesPatient: NAMING.has(code) && !SHARED.has(path) })
    }
  }
  elements.set(type, list)
  return list
}

const NAMING: ReadonlySet<string> = new Set(['patient', 'subject', 'beneficiary', 'individual'])
/** Elements that a parameter of that name reads, though they hold more than patients. */
const SHARED: ReadonlySet<string> = new Set([
  'AuditEvent.agent.who',
  'AuditEvent.entity.what',
  'Provenance.target',
  'Person.link.target',
])

function nodesAt(node: unknown, path: readonly string[], index: number): unknown[] {
  if (Array.isArray(node)) return node.flatMap((item) => nodesAt(item, path, index))
  const key = path[index]
  if (key === undefined) return [node]
  if (typeof node !== 'object' || node === null) return []
  const record = node as Record<string, unknown>
  // A choice of types is written with the type behind it: Invoice… has none here, but `party` of Claim may.
  const value = record[key] ?? record[`${key}Reference`]
  return value === undefined ? [] : nodesAt(value, path, index + 1)
}

function mention(node: unknown, namesPatient: boolean, resource: LooseResource, mentions: Mentions): void {
  if (typeof node !== 'object' || node === null) return
  const { reference, type, identifier, display } = node as Record<string, unknown>
  if (typeof reference === 'string') {
    mentionLiteral(reference, namesPatient || type === 'Patient', resource, mentions)
    return
  }
  if (!(type === 'Patient' || (namesPatient && type === undefined))) return
  const name = identifierName(identifier)
  if (name !== undefined) mentions.names.add(name)
  else if (display !== undefined || identifier !== undefined) mentions.unnamed = true
}

function mentionLiteral(
  reference: string,
  namesPatient: boolean,
  resource: LooseResource,
  mentions: Mentions,
): void {
  const parts = parseReference(reference)
  if (parts) {
    if (parts.type !== 'Patient') return
    mentions.names.add(parts.base === undefined ? `Patient/${parts.id}` : `${parts.base}/Patient/${parts.id}`)
  } else if (reference.startsWith('#')) {
    const inside = containedOf(resource, reference.slice(1))
    if (inside?.['resourceType'] !== 'Patient') return
    // A contained patient has no identity of its own; only an identifier can name her.
    const name = firstIdentifierName(inside)
    if (name !== undefined) mentions.names.add(name)
    else mentions.unnamed = true
  } else if (reference.startsWith('Patient?') || namesPatient) {
    mentions.names.add(reference)
  }
}

function containedOf(resource: LooseResource, id: string): Record<string, unknown> | undefined {
  const contained = resource['contained']
  return (Array.isArray(contained) ? contained : []).find((item) => item?.id === id)
}

function identifierName(identifier: unknown): string | undefined {
  const { system, value } = (identifier ?? {}) as { system?: unknown; value?: unknown }
  if (typeof value !== 'string') return undefined
  return `Patient?identifier=${typeof system === 'string' ? `${system}|` : ''}${value}`
}

function firstIdentifierName(patient: Record<string, unknown>): string | undefined {
  const identifiers = patient['identifier']
  return identifierName(Array.isArray(identifiers) ? identifiers[0] : undefined)
}

/** Any reference to a patient, and any patient inside a bundle or parameters; names inside a bundle resolve there. */
function mentionAnywhere(resource: LooseResource, mentions: Mentions): void {
  const inside = new Map<string, string>()
  collectNestedPatients(resource, undefined, true, inside, mentions)
  for (const { reference, node } of walkReferences(resource)) {
    const known = reference === undefined ? undefined : inside.get(reference)
    if (known !== undefined) mentions.names.add(known)
    else mention(node, false, resource, mentions)
  }
}

function collectNestedPatients(
  node: unknown,
  fullUrl: string | undefined,
  isRoot: boolean,
  inside: Map<string, string>,
  mentions: Mentions,
): void {
  if (Array.isArray(node)) {
    for (const item of node) collectNestedPatients(item, fullUrl, false, inside, mentions)
    return
  }
  if (typeof node !== 'object' || node === null) return
  const object = node as Record<string, unknown>
  if (!isRoot && object['resourceType'] === 'Patient') {
    const name = typeof object['id'] === 'string' ? `Patient/${object['id']}` : firstIdentifierName(object)
    if (name === undefined) mentions.unnamed = true
    else mentions.names.add(name)
    if (name !== undefined && fullUrl !== undefined) inside.set(fullUrl, name)
  }
  const url = typeof object['fullUrl'] === 'string' ? object['fullUrl'] : fullUrl
  for (const key in object) {
    if (key !== 'contained') collectNestedPatients(object[key], url, false, inside, mentions)
  }
}
