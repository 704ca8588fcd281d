import { CATEGORY, type Code, concept, hl7, loinc, type Panel, SECTION, SYNTHETIC } from './codes.ts'
import type { Drawing } from './drawing.ts'
import { NUMBERS, ORGANISATIONS, type Person, PRACTITIONERS } from './people.ts'

type Json = Record<string, unknown>

export interface Entry {
  readonly fullUrl: string
  readonly resource: Json
}

/** One patient's resources in the order in which they come about. */
export interface Chart {
  readonly person: Person
  readonly draw: Drawing
  readonly entries: Entry[]
  readonly patient: Json
  add(type: string, content: Json): Json
}

/** A reference to what is in the same bundle. */
export interface Visit {
  readonly encounter: Json
  readonly start: string
  readonly end: string
  readonly practitioner: Json
  readonly organisation: Json
}

export const reference = (url: string, display?: string): Json => ({
  reference: url,
  ...(display ? { display } : {}),
})

/** People and places are in a bundle of their own; other bundles find them by number. */
export function practitionerReference(number: string): Json {
  const found = PRACTITIONERS.find((p) => p.number === number)
  return reference(
    `Practitioner?identifier=${NUMBERS.practitioner}|${number}`,
    `Dr. ${found?.given} ${found?.family}`,
  )
}

export function organisationReference(key: string): Json {
  const found = ORGANISATIONS.find((o) => o.key === key)
  return reference(`Organization?identifier=${NUMBERS.organisation}|${found?.number}`, found?.name)
}

export function resourceEntry(draw: Drawing, type: string, content: Json): Entry {
  const id = draw.uuid()
  return {
    fullUrl: `urn:uuid:${id}`,
    resource: { resourceType: type, id, meta: { tag: [SYNTHETIC] }, ...content },
  }
}

export function openChart(person: Person, draw: Drawing): Chart {
  const entries: Entry[] = []
  const add = (type: string, content: Json): Json => {
    const entry = resourceEntry(draw, type, content)
    entries.push(entry)
    return reference(entry.fullUrl)
  }
  const patient = add('Patient', {
    identifier: [
      {
        type: concept(hl7('v2-0203', 'MR', 'Medical record number')),
        system: NUMBERS.patient,
        value: person.number,
      },
    ],
    active: true,
    name: [{ use: 'official', family: person.family, given: [person.given] }],
    telecom: [{ system: 'phone', value: `555-01${person.number.slice(-2)}`, use: 'home' }],
    gender: person.gender,
    birthDate: person.birthDate,
    address: [{ use: 'home', line: [`${draw.int(1, 90)} Lantern Street`], city: person.home, country: 'XX' }],
    communication: [
      { language: concept({ system: 'urn:ietf:bcp:47', code: 'en', display: 'English' }), preferred: true },
    ],
  })
  return {
    person,
    draw,
    entries,
    patient: reference(patient['reference'] as string, `${person.given} ${person.family}`),
    add,
  }
}

const pad = (n: number): string => String(n).padStart(2, '0')

export function visit(
  chart: Chart,
  date: string,
  about: {
    readonly type: Code
    readonly practitioner: string
    readonly reason?: Json
    readonly reasonText?: Code
    readonly minutes?: number
    readonly emergency?: boolean
  },
): Visit {
  const { draw } = chart
  const minutes = about.minutes ?? draw.pick([20, 30, 40])
  const hour = draw.int(8, 15)
  const start = `${date}T${pad(hour)}:00:00+01:00`
  const end = `${date}T${pad(hour)}:${pad(minutes)}:00+01:00`
  const key = PRACTITIONERS.find((p) => p.number === about.practitioner)?.organisation ?? 'saltmarsh'
  const practitioner = practitionerReference(about.practitioner)
  const organisation = organisationReference(key)
  const kind = about.emergency
    ? hl7('v3-ActCode', 'EMER', 'emergency')
    : hl7('v3-ActCode', 'AMB', 'ambulatory')
  const encounter = chart.add('Encounter', {
    status: 'finished',
    class: kind,
    type: [concept(about.type)],
    subject: chart.patient,
    participant: [
      { type: [concept(hl7('v3-ParticipationType', 'PPRF', 'primary performer'))], individual: practitioner },
    ],
    period: { start, end },
    ...(about.reasonText ? { reasonCode: [concept(about.reasonText)] } : {}),
    ...(about.reason ? { reasonReference: [about.reason] } : {}),
    serviceProvider: organisation,
  })
  return { encounter, start, end, practitioner, organisation }
}

const quantity = (value: unknown, unit: string): Json => ({
  value,
  unit,
  system: 'http://unitsofmeasure.org',
  code: unit,
})

export function measured(chart: Chart, at: Visit, category: Code, code: Code, content: Json): Json {
  return chart.add('Observation', {
    status: 'final',
    category: [concept(category)],
    code: concept(code),
    subject: chart.patient,
    encounter: at.encounter,
    effectiveDateTime: at.start,
    issued: at.end,
    ...content,
  })
}

export function vitals(chart: Chart, at: Visit, heightCm: number, weightKg: number): void {
  const { draw } = chart
  measured(chart, at, CATEGORY.vital, loinc('8302-2', 'Body height'), {
    valueQuantity: quantity(draw.decimal(heightCm, heightCm + 0.4, 1), 'cm'),
  })
  measured(chart, at, CATEGORY.vital, loinc('29463-7', 'Body weight'), {
    valueQuantity: quantity(draw.decimal(weightKg - 1.5, weightKg + 1.5, 1), 'kg'),
  })
}

export function bloodPressure(chart: Chart, at: Visit, systolic: number): void {
  const { draw } = chart
  measured(chart, at, CATEGORY.vital, loinc('85354-9', 'Blood pressure panel with all children optional'), {
    component: [
      {
        code: concept(loinc('8480-6', 'Systolic blood pressure')),
        valueQuantity: quantity(draw.int(systolic - 8, systolic + 8), 'mm[Hg]'),
      },
      {
        code: concept(loinc('8462-4', 'Diastolic blood pressure')),
        valueQuantity: quantity(draw.int(66, 92), 'mm[Hg]'),
      },
    ],
  })
}

export function score(chart: Chart, at: Visit, code: Code, value: number): void {
  measured(chart, at, CATEGORY.survey, code, { valueQuantity: quantity(value, '{score}') })
}

/** A specimen, its results and the report over them. */
export function labReport(chart: Chart, at: Visit, panel: Panel): void {
  const { draw } = chart
  const specimen = chart.add('Specimen', {
    status: 'available',
    type: concept({
      system: 'http://snomed.info/sct',
      code: '119297000',
      display: 'Blood specimen (specimen)',
    }),
    subject: chart.patient,
    collection: { collectedDateTime: at.start },
  })
  const results = panel.tests.map((test) =>
    measured(chart, at, CATEGORY.lab, test.code, {
      valueQuantity: quantity(draw.decimal(test.low, test.high, test.digits), test.unit),
      specimen,
    }),
  )
  chart.add('DiagnosticReport', {
    status: 'final',
    category: [concept(SECTION.lab)],
    code: concept(panel.code),
    subject: chart.patient,
    encounter: at.encounter,
    effectiveDateTime: at.start,
    issued: at.end,
    performer: [at.organisation],
    specimen: [specimen],
    result: results,
  })
}

export function condition(
  chart: Chart,
  at: Visit,
  code: Code,
  status: 'active' | 'resolved' = 'active',
): Json {
  return chart.add('Condition', {
    clinicalStatus: concept(hl7('condition-clinical', status, status)),
    verificationStatus: concept(hl7('condition-ver-status', 'confirmed', 'confirmed')),
    category: [concept(hl7('condition-category', 'encounter-diagnosis', 'Encounter Diagnosis'))],
    code: concept(code),
    subject: chart.patient,
    encounter: at.encounter,
    onsetDateTime: at.start,
    ...(status === 'resolved' ? { abatementDateTime: at.end } : {}),
    recordedDate: at.end,
  })
}

export function prescription(
  chart: Chart,
  at: Visit,
  drug: Code,
  reason: Json | undefined,
  timesADay: number,
  status: 'active' | 'completed' | 'stopped' = 'active',
): Json {
  return chart.add('MedicationRequest', {
    status,
    intent: 'order',
    medicationCodeableConcept: concept(drug),
    subject: chart.patient,
    encounter: at.encounter,
    authoredOn: at.end,
    requester: at.practitioner,
    ...(reason ? { reasonReference: [reason] } : {}),
    dosageInstruction: [
      {
        sequence: 1,
        text: `${timesADay} a day`,
        timing: { repeat: { frequency: timesADay, period: 1, periodUnit: 'd' } },
      },
    ],
  })
}

export function vaccination(chart: Chart, at: Visit, vaccine: Code): void {
  chart.add('Immunization', {
    status: 'completed',
    vaccineCode: concept(vaccine),
    patient: chart.patient,
    encounter: at.encounter,
    occurrenceDateTime: at.start,
    primarySource: true,
    performer: [{ actor: at.organisation }],
  })
}

export function procedure(chart: Chart, at: Visit, code: Code, reason?: Json): Json {
  return chart.add('Procedure', {
    status: 'completed',
    code: concept(code),
    subject: chart.patient,
    encounter: at.encounter,
    performedPeriod: { start: at.start, end: at.end },
    ...(reason ? { reasonReference: [reason] } : {}),
  })
}

/** A claim for the visit and what came of it. */
export function claim(chart: Chart, at: Visit, coverage: Json, service: Code): void {
  const { draw } = chart
  const net = { value: draw.decimal(60, 420, 2), currency: 'USD' }
  const common = {
    status: 'active',
    type: concept(hl7('claim-type', 'professional', 'Professional')),
    use: 'claim',
    patient: chart.patient,
    billablePeriod: { start: at.start, end: at.end },
    created: at.end,
    provider: at.organisation,
    insurance: [{ sequence: 1, focal: true, coverage }],
  }
  const made = chart.add('Claim', {
    ...common,
    priority: concept(hl7('processpriority', 'normal', 'Normal')),
    item: [{ sequence: 1, productOrService: concept(service), encounter: [at.encounter], net }],
    total: net,
  })
  chart.add('ExplanationOfBenefit', {
    ...common,
    insurer: organisationReference('harbourlight'),
    claim: made,
    outcome: 'complete',
    insurance: [{ focal: true, coverage }],
    item: [{ sequence: 1, productOrService: concept(service), encounter: [at.encounter], net }],
    total: [{ category: concept(hl7('adjudication', 'submitted', 'Submitted Amount')), amount: net }],
  })
}

export function note(chart: Chart, at: Visit, type: Code, text: string): void {
  chart.add('DocumentReference', {
    status: 'current',
    type: concept(type),
    subject: chart.patient,
    date: at.end,
    author: [at.practitioner],
    custodian: at.organisation,
    content: [{ attachment: { contentType: 'text/plain', data: base64(text) } }],
    context: { encounter: [at.encounter], period: { start: at.start, end: at.end } },
  })
}

function base64(text: string): string {
  return btoa(text)
}

export function imaging(
  chart: Chart,
  at: Visit,
  modality: readonly [code: string, display: string],
  study: Code,
  conclusion: string,
): void {
  const made = chart.add('ImagingStudy', {
    status: 'available',
    subject: chart.patient,
    encounter: at.encounter,
    started: at.start,
    numberOfSeries: 1,
    numberOfInstances: 1,
    procedureCode: [concept(study)],
    series: [
      {
        uid: `2.25.${chart.draw.int(1_000_000, 9_999_999)}`,
        modality: {
          system: 'http://dicom.nema.org/resources/ontology/DCM',
          code: modality[0],
          display: modality[1],
        },
        instance: [
          {
            uid: `2.25.${chart.draw.int(1_000_000, 9_999_999)}`,
            sopClass: { system: 'urn:ietf:rfc:3986', code: 'urn:oid:1.2.840.10008.5.1.4.1.1.1.1' },
          },
        ],
      },
    ],
  })
  chart.add('DiagnosticReport', {
    status: 'final',
    category: [concept(SECTION.radiology)],
    code: concept(study),
    subject: chart.patient,
    encounter: at.encounter,
    effectiveDateTime: at.start,
    issued: at.end,
    performer: [practitionerReference('PR-2005')],
    imagingStudy: [made],
    conclusion,
  })
}
