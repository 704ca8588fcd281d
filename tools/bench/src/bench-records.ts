/** A FHIR resource made for a measurement. */
export interface BenchResource {
  readonly resourceType: string
  readonly id: string
  readonly [member: string]: unknown
}

export function patientNamed(id: string): BenchResource {
  return {
    resourceType: 'Patient',
    id,
    name: [{ family: 'Benchmark', given: [id] }],
    gender: 'female',
    birthDate: '1980-02-29',
  }
}

export function visitOf(patient: string, id: string): BenchResource {
  return {
    resourceType: 'Encounter',
    id,
    status: 'finished',
    class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'AMB' },
    subject: { reference: `Patient/${patient}` },
    period: { start: '2020-01-01T09:00:00Z', end: '2020-01-01T09:30:00Z' },
  }
}

/** LOINC codes that the results take in turns; `RARE` is given to `rare` of them. */
const COMMON = ['2339-0', '2093-3', '718-7', '4548-4', '2160-0', '6298-4', '2947-0']
export const RARE = '1988-5'

/**
 * Laboratory results of one patient, of Synthea's size. References to the visit, which a grant on laboratory results
 * does not release, are bare in every second one and have a display in the others: the first go out as keys, the
 * others as views (protocol §4, View). The first `rare` have the code `RARE`.
 */
export function labResults(
  patient: string,
  count: number,
  {
    visit,
    rare = 0,
    prefix = 'lab',
  }: { readonly visit: string; readonly rare?: number; readonly prefix?: string },
): BenchResource[] {
  return Array.from({ length: count }, (_, at) => {
    const day = new Date(Date.UTC(2015, 0, 1 + (at % 3_000))).toISOString().slice(0, 10)
    return {
      resourceType: 'Observation',
      id: `${prefix}-${at}-${patient}`,
      status: 'final',
      category: [
        {
          coding: [
            {
              system: 'http://terminology.hl7.org/CodeSystem/observation-category',
              code: 'laboratory',
              display: 'laboratory',
            },
          ],
        },
      ],
      code: {
        coding: [
          {
            system: 'http://loinc.org',
            code: at < rare ? RARE : COMMON[at % COMMON.length],
            display: 'A laboratory result of the benchmark',
          },
        ],
        text: 'A laboratory result of the benchmark',
      },
      subject: { reference: `Patient/${patient}` },
      encounter: {
        reference: `Encounter/${visit}`,
        ...(at % 2 === 0 ? {} : { display: 'Visit of the benchmark' }),
      },
      effectiveDateTime: `${day}T08:00:00+00:00`,
      issued: `${day}T12:00:00.000+00:00`,
      valueQuantity: {
        value: 10 + (at % 900) / 10,
        unit: 'mg/dL',
        system: 'http://unitsofmeasure.org',
        code: 'mg/dL',
      },
    }
  })
}
