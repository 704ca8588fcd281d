import { instantOf } from '@salus/core'

type Node = Record<string, unknown>

/** A record as the summary sees it: the parsed resource of its current version, and what the patient excludes by. */
export interface SummarySource {
  readonly recordId: string
  readonly compartment: string
  readonly resource: Readonly<Record<string, unknown>>
}

/** What the patient leaves out of her emergency summary. */
export interface SummaryExclusions {
  readonly compartments: readonly string[]
  readonly records: readonly string[]
}

export interface SummaryInput {
  readonly sources: readonly SummarySource[]
  readonly exclusions: SummaryExclusions
  /** UUIDs for the Bundle and the Composition, drawn by the caller. */
  readonly ids: { readonly bundle: string; readonly composition: string }
  readonly custodian: { readonly org: string; readonly name: string }
  readonly timeMs: number
}

interface Section {
  readonly title: string
  /** LOINC. */
  readonly code: string
  takes(resource: Node): boolean
}

const ACTIVE = new Set(['active', 'recurrence', 'relapse'])
const UNTRUE = new Set(['entered-in-error', 'refuted'])

const isActiveAndTrue = (resource: Node): boolean => {
  const status = codeOf(resource['clinicalStatus'])
  return (
    (status === undefined || ACTIVE.has(status)) && !UNTRUE.has(codeOf(resource['verificationStatus']) ?? '')
  )
}

const hasStatus = (resource: Node, ...wanted: readonly string[]): boolean =>
  wanted.includes(String(resource['status']))

/** Sections in the order of the International Patient Summary; codes are LOINC. */
const SECTIONS: readonly Section[] = [
  {
    title: 'Allergies and intolerances',
    code: '48765-2',
    takes: (r) => r['resourceType'] === 'AllergyIntolerance' && isActiveAndTrue(r),
  },
  {
    title: 'Medication',
    code: '10160-0',
    takes: (r) =>
      (r['resourceType'] === 'MedicationRequest' && hasStatus(r, 'active', 'on-hold')) ||
      (r['resourceType'] === 'MedicationStatement' && hasStatus(r, 'active', 'intended', 'on-hold')),
  },
  {
    title: 'Problems',
    code: '11450-4',
    takes: (r) => r['resourceType'] === 'Condition' && isActiveAndTrue(r) && !isBillingOnly(r),
  },
  {
    title: 'Immunisations',
    code: '11369-6',
    takes: (r) => r['resourceType'] === 'Immunization' && hasStatus(r, 'completed'),
  },
  {
    title: 'Implants and devices',
    code: '46264-8',
    takes: (r) => r['resourceType'] === 'DeviceUseStatement' && hasStatus(r, 'active'),
  },
  {
    title: 'Blood group',
    code: '30954-2',
    takes: (r) =>
      r['resourceType'] === 'Observation' && hasStatus(r, 'final', 'amended', 'corrected') && isBloodGroup(r),
  },
  {
    title: 'Advance directives',
    code: '42348-3',
    takes: (r) => r['resourceType'] === 'Consent' && hasStatus(r, 'active') && codeOf(r['scope']) === 'adr',
  },
]

/** LOINC: ABO and Rh group; ABO group; Rh. SNOMED CT: blood group and Rh type. */
const BLOOD_GROUP = new Set(['882-1', '883-9', '10331-7', '34530-6', '365636006', '112143006'])

const SECTION_TYPES = new Set([
  'Patient',
  'AllergyIntolerance',
  'MedicationRequest',
  'MedicationStatement',
  'Condition',
  'Immunization',
  'DeviceUseStatement',
  'Consent',
])

/** Whether a record with these labels may have a place in a summary, so that others need not be opened. */
export function maySupplySummary({
  type,
  codes,
}: {
  readonly type: string
  readonly codes: readonly { readonly code: string }[]
}): boolean {
  return (
    SECTION_TYPES.has(type) || (type === 'Observation' && codes.some(({ code }) => BLOOD_GROUP.has(code)))
  )
}

function codings(concept: unknown): { system: unknown; code: unknown }[] {
  const list = (concept as { coding?: unknown } | undefined)?.coding
  return Array.isArray(list) ? (list as { system: unknown; code: unknown }[]) : []
}

function codeOf(concept: unknown): string | undefined {
  const found = (Array.isArray(concept) ? concept : [concept]).flatMap(codings)[0]?.code
  return typeof found === 'string' ? found : undefined
}

function isBloodGroup(resource: Node): boolean {
  return codings(resource['code']).some(({ code }) => BLOOD_GROUP.has(String(code)))
}

function isBillingOnly(resource: Node): boolean {
  const categories = Array.isArray(resource['category']) ? resource['category'] : []
  return categories.length > 0 && categories.every((c) => codings(c).some(({ code }) => code === 'billing'))
}

/**
 * The emergency summary: a FHIR R4 document in the shape of the International Patient Summary, made anew on every
 * relevant write. It holds copies without reasons, notes and references to the chart, since those may tell of what she
 * leaves out. Pure and deterministic; give it the exact trees to keep numbers as they came.
 */
export function emergencySummary(input: SummaryInput): Node {
  const { exclusions, ids, custodian } = input
  const patient = input.sources.find(({ resource }) => resource['resourceType'] === 'Patient')
  const patientUrl = fullUrlOf('patient', 0)
  const included = input.sources
    .filter(({ compartment }) => !exclusions.compartments.includes(compartment))
    .filter(({ recordId }) => !exclusions.records.includes(recordId))
    .toSorted((a, b) => (a.recordId < b.recordId ? -1 : a.recordId > b.recordId ? 1 : 0))

  const entries: Node[] = []
  const sections: Node[] = []
  for (const [i, section] of SECTIONS.entries()) {
    const taken = included.filter(({ resource }) => section.takes(resource))
    const urls = taken.map((source, j) => {
      const fullUrl = fullUrlOf(String(i), j)
      entries.push({ fullUrl, resource: copyOf(source.resource, patientUrl) })
      return { reference: fullUrl }
    })
    const code = { coding: [{ system: 'http://loinc.org', code: section.code }] }
    // An empty section says that nothing is known here, not that there is nothing.
    const rest = urls.length > 0 ? { entry: urls } : { emptyReason: UNAVAILABLE }
    if (urls.length > 0 || i < 3)
      sections.push({ title: section.title, code, text: narrative(urls.length), ...rest })
  }

  const date = instantOf(input.timeMs)
  const composition = {
    resourceType: 'Composition',
    id: ids.composition,
    status: 'final',
    type: { coding: [{ system: 'http://loinc.org', code: '60591-5' }] },
    subject: { reference: patientUrl },
    date,
    author: [{ identifier: { value: custodian.org }, display: custodian.name }],
    title: 'Emergency summary',
    section: sections,
  }
  return {
    resourceType: 'Bundle',
    id: ids.bundle,
    identifier: { system: 'urn:ietf:rfc:3986', value: `urn:uuid:${ids.bundle}` },
    type: 'document',
    timestamp: date,
    entry: [
      { fullUrl: `urn:uuid:${ids.composition}`, resource: composition },
      { fullUrl: patientUrl, resource: patientOf(patient?.resource) },
      ...entries,
    ],
  }
}

const UNAVAILABLE = {
  coding: [{ system: 'http://terminology.hl7.org/CodeSystem/list-empty-reason', code: 'unavailable' }],
}

function narrative(count: number): Node {
  const said = count === 0 ? 'Nothing known here.' : `${count} in this document.`
  return { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${said}</div>` }
}

/** Names inside the document only: they tell nothing about the chart. */
function fullUrlOf(section: string, index: number): string {
  const tail = String(index).padStart(8, '0')
  const part = section === 'patient' ? 'ffff' : section.padStart(4, '0')
  return `urn:uuid:00000000-0000-4000-8000-${part}${tail}`
}

const PATIENT_MEMBERS = ['name', 'gender', 'birthDate', 'contact', 'communication'] as const

function patientOf(resource: Readonly<Node> | undefined): Node {
  const out: Node = { resourceType: 'Patient' }
  for (const member of PATIENT_MEMBERS) if (resource?.[member] !== undefined) out[member] = resource[member]
  return out
}

const PATIENT_LINKS = new Set(['subject', 'patient', 'beneficiary'])
/** What the drug or the implant is may stand behind a reference: its display is the point of the entry. */
const NAMES_ITS_OBJECT = new Set(['medicationReference', 'device'])
/** Ids, free text, and why something was given: a reason may tell of what the patient leaves out. */
const NOT_COPIED = new Set([
  'id',
  'meta',
  'text',
  'contained',
  'identifier',
  'note',
  'extension',
  'reasonCode',
  'indication',
])

/** A copy that stands alone; its patient becomes the document's, other references go. */
function copyOf(resource: Readonly<Node>, patientUrl: string): Node {
  const out: Node = {}
  for (const [name, value] of Object.entries(resource)) {
    if (NOT_COPIED.has(name)) continue
    const copied = PATIENT_LINKS.has(name)
      ? { reference: patientUrl }
      : NAMES_ITS_OBJECT.has(name)
        ? displayOf(value)
        : withoutReferences(value)
    if (copied !== undefined) out[name] = copied
  }
  return out
}

function displayOf(value: unknown): Node {
  const display = (value as { display?: unknown }).display
  return typeof display === 'string' ? { display } : { extension: [ABSENT] }
}

const rawJson = JSON as unknown as { isRawJSON?(value: unknown): boolean }

/** The value without references; undefined where nothing is left. */
function withoutReferences(value: unknown): unknown {
  if (Array.isArray(value)) {
    const kept = value.map(withoutReferences).filter((item) => item !== undefined)
    return kept.length > 0 ? kept : undefined
  }
  if (typeof value !== 'object' || value === null || rawJson.isRawJSON?.(value) === true) return value
  if (typeof (value as Node)['reference'] === 'string') return undefined
  const kept = Object.entries(value)
    .map(([name, inner]) => [name, withoutReferences(inner)] as const)
    .filter(([, inner]) => inner !== undefined)
  return kept.length > 0 ? Object.fromEntries(kept) : undefined
}

const ABSENT = { url: 'http://hl7.org/fhir/StructureDefinition/data-absent-reason', valueCode: 'unknown' }
