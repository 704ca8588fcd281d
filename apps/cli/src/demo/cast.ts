import { instantMs } from '@salus/core'
import { clinicalDates, compartmentOf, type LooseResource } from '@salus/records/fhir'
import type { Source, SourcedResource } from './source-files.ts'
import { splitBetweenHospitals } from './split.ts'
import { StoryError } from './story.ts'
import type { Cast } from './world.ts'

/** From when on the story's first grant shows laboratory results and medication, ms UTC. */
const GRANT_FROM_MS = instantMs('2015-01-01T00:00:00.000Z')

/**
 * Chooses who of the files plays which part: the patient is the one with most records that the story's
 * first grant shows, at both hospitals; the child the youngest other; the hosted patient another one. Undefined parts are missing.
 */
export function chooseCast(source: Source): { patient?: string; child?: string; hosted?: string } {
  const byPatient = groupByPatient(source.resources)
  const findable = findableAmong(source.resources)
  const patients = [...byPatient]
    .filter(([name]) => source.resources.some(({ recordId }) => recordId === name))
    .map(([name, records]) => {
      const { a, b } = splitBetweenHospitals(records)
      const shared = a.filter(isShared).length
      // Later grants of the story are for medication alone.
      const hasMedication = a.some(
        ({ resource }) => compartmentOf(resource as LooseResource) === 'medication',
      )
      const both = shared > 0 && hasMedication && b.length > 1 && findable.has(name)
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

function isShared({ resource }: SourcedResource): boolean {
  const compartment = compartmentOf(resource as LooseResource)
  if (compartment !== 'labs' && compartment !== 'medication') return false
  const dates = clinicalDates(resource as LooseResource)
  return dates !== undefined && dates.startMs >= GRANT_FROM_MS
}

/** Patients whom another organisation can ask for: by a name and a birth date that nobody else in the files has. */
function findableAmong(resources: readonly SourcedResource[]): ReadonlySet<string> {
  const byPerson = Map.groupBy(
    resources.filter(({ type }) => type === 'Patient'),
    ({ resource }) => {
      const { birthDate, name } = resource as {
        birthDate?: string
        name?: { family?: string; given?: string[] }[]
      }
      const full = name?.find(({ family, given }) => family !== undefined && given?.[0] !== undefined)
      return birthDate === undefined || full === undefined
        ? ''
        : `${full.family} ${full.given?.[0]} ${birthDate}`.toLowerCase()
    },
  )
  const alone = [...byPerson].filter(
    ([person, same]) => person !== '' && new Set(same.map(({ recordId }) => recordId)).size === 1,
  )
  return new Set(alone.flatMap(([, same]) => same.map(({ recordId }) => recordId)))
}

function birthOf(records: readonly SourcedResource[], name: string): string {
  const patient = records.find(({ recordId }) => recordId === name)?.resource as
    | { birthDate?: string }
    | undefined
  return patient?.birthDate ?? ''
}
