import type { Source, SourcedResource } from './source-files.ts'
import { splitBetweenHospitals } from './split.ts'
import { StoryError } from './story.ts'
import type { Cast } from './world.ts'

/** What a grant on laboratory results and medication must find. */
const SHARED = new Set([
  'MedicationRequest',
  'MedicationStatement',
  'MedicationAdministration',
  'MedicationDispense',
  'DiagnosticReport',
  'Observation',
])

/**
 * Chooses who of the files plays which part: the patient is the one with most records of the kinds that the story
 * shares, at both hospitals; the child the youngest other; the hosted patient another one. Undefined parts are missing.
 */
export function chooseCast(source: Source): { patient?: string; child?: string; hosted?: string } {
  const byPatient = groupByPatient(source.resources)
  const patients = [...byPatient]
    .filter(([name]) => source.resources.some(({ recordId }) => recordId === name))
    .map(([name, records]) => {
      const { a, b } = splitBetweenHospitals(records)
      const shared = a.filter(({ type }) => SHARED.has(type)).length
      const both = shared > 0 && b.length > 1
      return { name, shared, both, records: records.length, birth: birthOf(records, name) }
    })
  const patient = patients
    .filter(({ both }) => both)
    .sort((x, y) => y.shared - x.shared || (x.name < y.name ? -1 : 1))[0]
  const others = patients.filter(({ name }) => name !== patient?.name)
  const child = [...others].sort((x, y) =>
    x.birth > y.birth ? -1 : x.birth < y.birth ? 1 : x.name < y.name ? -1 : 1,
  )[0]
  const hosted = others
    .filter(({ name }) => name !== child?.name)
    .sort((x, y) => y.records - x.records || (x.name < y.name ? -1 : 1))[0]
  return {
    ...(patient === undefined ? {} : { patient: patient.name }),
    ...(child === undefined ? {} : { child: child.name }),
    ...(hosted === undefined ? {} : { hosted: hosted.name }),
  }
}

/** The cast with everybody there, over all records. */
export function castOf(
  parts: { readonly patient: string; readonly child: string; readonly hosted: string },
  resources: readonly SourcedResource[],
): Cast {
  const byPatient = groupByPatient(resources)
  return {
    ...parts,
    displayName(patient) {
      const found = resources.find(({ recordId }) => recordId === patient)?.resource as
        | { name?: { given?: string[]; family?: string; text?: string }[] }
        | undefined
      const name = found?.name?.[0]
      return name === undefined
        ? patient
        : (name.text ?? [...(name.given ?? []), name.family ?? ''].join(' ').trim())
    },
    resourcesOf(patient) {
      const records = byPatient.get(patient)
      if (records === undefined) throw new StoryError(`${patient} is not in the files`)
      return records
    },
  }
}

function groupByPatient(resources: readonly SourcedResource[]): Map<string, SourcedResource[]> {
  const groups = new Map<string, SourcedResource[]>()
  for (const one of resources) {
    if (one.owner.kind !== 'patient') continue
    const list = groups.get(one.owner.name)
    if (list === undefined) groups.set(one.owner.name, [one])
    else list.push(one)
  }
  return groups
}

function birthOf(records: readonly SourcedResource[], name: string): string {
  const patient = records.find(({ recordId }) => recordId === name)?.resource as
    | { birthDate?: string }
    | undefined
  return patient?.birthDate ?? ''
}
