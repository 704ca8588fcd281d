import type { LooseResource } from '../fhir/index.ts'

/** Where an entry of a chart comes from. */
export interface ChartSource {
  /** Organisation that holds it. */
  readonly org: string
  readonly recordId: string
  /** Whether it is this organisation's own record, or opened under a grant until its lease ends. */
  readonly held: 'own' | 'granted'
}

/** One record of one source. */
export interface SourcedResource extends ChartSource {
  readonly resource: LooseResource
}

/** One line of a chart: a resource, and every source that tells of the same thing. */
export interface ChartEntry {
  readonly resource: LooseResource
  readonly sources: readonly ChartSource[]
  /** The other wordings of the same fact, where sources differ; none is dropped. */
  readonly alsoAs: readonly LooseResource[]
}

/**
 * One chart from several sources: records that tell of the same fact stand in one entry, with all their sources. Two
 * records are the same fact when their type, their day and one of their codes (or, without codes, their text) agree.
 * Records of one source are never merged with each other: what a clinician entered twice she may have meant twice.
 */
export function reconcile(records: readonly SourcedResource[]): ChartEntry[] {
  const entries: { first: SourcedResource; others: SourcedResource[] }[] = []
  const byKey = new Map<string, { first: SourcedResource; others: SourcedResource[] }[]>()
  for (const record of records) {
    const keys = factKeys(record.resource)
    const same = keys
      .flatMap((key) => byKey.get(key) ?? [])
      .find(({ first, others }) => [first, ...others].every(({ org }) => org !== record.org))
    if (same !== undefined) {
      same.others.push(record)
      for (const key of keys) add(byKey, key, same)
      continue
    }
    const entry = { first: record, others: [] }
    entries.push(entry)
    for (const key of keys) add(byKey, key, entry)
  }
  return entries.map(({ first, others }) => ({
    resource: first.resource,
    sources: [first, ...others].map(({ org, recordId, held }) => ({ org, recordId, held })),
    alsoAs: others
      .map(({ resource }) => resource)
      .filter((other) => wording(other) !== wording(first.resource)),
  }))
}

/** Types whose facts can be recognised across organisations, and where their code and their day stand. */
const FACTS: Readonly<Record<string, { readonly code: readonly string[]; readonly day: readonly string[] }>> =
  {
    Immunization: { code: ['vaccineCode'], day: ['occurrenceDateTime'] },
    // An allergy is the same one whenever somebody wrote it down.
    AllergyIntolerance: { code: ['code'], day: [] },
    MedicationRequest: { code: ['medicationCodeableConcept'], day: ['authoredOn'] },
    MedicationStatement: { code: ['medicationCodeableConcept'], day: ['effectiveDateTime'] },
    Condition: { code: ['code'], day: ['onsetDateTime', 'recordedDate'] },
    Procedure: { code: ['code'], day: ['performedDateTime', 'performedPeriod'] },
    DiagnosticReport: { code: ['code'], day: ['effectiveDateTime'] },
  }

/** The keys under which a fact is found: one for each of its codes. Empty where the type has no such identity. */
function factKeys(resource: LooseResource): string[] {
  // A directory or patient resource that two organisations hold under one id is one resource.
  if (resource.resourceType === 'Patient') return ['Patient']
  if (DIRECTORY.has(resource.resourceType)) return [`${resource.resourceType}/${resource.id}`]
  const rule = FACTS[resource.resourceType]
  if (rule === undefined) return []
  const day = rule.day.map((member) => dayOf(resource[member])).find((found) => found !== undefined)
  if (rule.day.length > 0 && day === undefined) return []
  const concept = rule.code.map((member) => resource[member]).find((found) => found !== undefined) as
    | { coding?: { system?: string; code?: string }[]; text?: string }
    | undefined
  const codes = (concept?.coding ?? []).flatMap(({ system, code }) =>
    code === undefined ? [] : [`${system ?? ''}|${code}`],
  )
  const names =
    codes.length > 0 ? codes : concept?.text === undefined ? [] : [concept.text.trim().toLowerCase()]
  return names.map((name) => JSON.stringify([resource.resourceType, day ?? '', name]))
}

const DIRECTORY = new Set(['Organization', 'Practitioner', 'PractitionerRole', 'Location'])

function dayOf(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value : (value as { start?: unknown } | undefined)?.start
  return typeof text === 'string' && text.length >= 10 ? text.slice(0, 10) : undefined
}

/** What a person would read as different: everything but identity and bookkeeping. */
function wording({ id: _id, meta: _meta, identifier: _identifier, ...rest }: LooseResource): string {
  return JSON.stringify(rest)
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else if (!list.includes(value)) list.push(value)
}
