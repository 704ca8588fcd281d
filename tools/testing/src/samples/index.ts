import { type Chart, type Entry, openChart, organisationReference, resourceEntry } from './chart.ts'
import { concept, hl7, snomed } from './codes.ts'
import { drawing } from './drawing.ts'
import { edda, marisol, nika, tobias } from './ferreira-vance.ts'
import { FAMILIES, NUMBERS, ORGANISATIONS, type Person, PRACTITIONERS } from './people.ts'
import { imre, jonas, sanna } from './tallgren-okoye.ts'

/** One file of the samples: a FHIR R4 transaction bundle as text. */
export interface SampleFile {
  readonly name: string
  readonly text: string
}

const LIVES: Readonly<Record<string, (chart: Chart) => void>> = {
  marisol,
  tobias,
  nika,
  edda,
  jonas,
  imre,
  sanna,
}

/**
 * The sample families: a bundle of places and practitioners, then one bundle for each person. Everything is invented
 * and every resource carries HL7's tag for test data. The same seed gives the same bytes.
 */
export function sampleFiles(seed = 'salus-samples-1'): SampleFile[] {
  const people = FAMILIES.flatMap((family) => family.people)
  return [
    { name: 'organisations-and-practitioners.json', text: bundleText(directoryEntries(seed)) },
    ...people.map((person) => ({ name: `${person.key}.json`, text: bundleText(lifeEntries(seed, person)) })),
  ]
}

function lifeEntries(seed: string, person: Person): Entry[] {
  const chart = openChart(person, drawing(`${seed}/${person.key}`))
  const live = LIVES[person.key]
  if (!live) throw new Error(`No life is written for ${person.key}`)
  live(chart)
  return chart.entries
}

function directoryEntries(seed: string): Entry[] {
  const draw = drawing(`${seed}/directory`)
  const entries: Entry[] = []
  for (const place of ORGANISATIONS) {
    entries.push(
      resourceEntry(draw, 'Organization', {
        identifier: [{ system: NUMBERS.organisation, value: place.number }],
        active: true,
        type: [concept(hl7('organization-type', 'prov', 'Healthcare Provider'))],
        name: place.name,
        address: [{ city: place.town, country: 'XX' }],
      }),
      resourceEntry(draw, 'Location', {
        status: 'active',
        name: `${place.name}, main building`,
        address: { city: place.town, country: 'XX' },
        managingOrganization: organisationReference(place.key),
      }),
    )
  }
  for (const doctor of PRACTITIONERS) {
    const practitioner = resourceEntry(draw, 'Practitioner', {
      identifier: [{ system: NUMBERS.practitioner, value: doctor.number }],
      active: true,
      name: [{ family: doctor.family, given: [doctor.given], prefix: ['Dr.'] }],
    })
    entries.push(
      practitioner,
      resourceEntry(draw, 'PractitionerRole', {
        active: true,
        practitioner: { reference: practitioner.fullUrl },
        organization: organisationReference(doctor.organisation),
        specialty: [concept(snomed(...doctor.speciality))],
      }),
    )
  }
  return entries
}

/** One entry a line: compact, and a change shows as the lines of the resources that changed. */
function bundleText(entries: readonly Entry[]): string {
  const lines = entries.map(({ fullUrl, resource }) =>
    JSON.stringify({ fullUrl, resource, request: { method: 'POST', url: resource['resourceType'] } }),
  )
  return `{"resourceType":"Bundle","type":"transaction","entry":[\n${lines.join(',\n')}\n]}\n`
}
