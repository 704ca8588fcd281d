import {
  bloodPressure,
  type Chart,
  claim,
  condition,
  labReport,
  measured,
  note,
  practitionerReference,
  prescription,
  procedure,
  reference,
  score,
  type Visit,
  vaccination,
  visit,
  vitals,
} from './chart.ts'
import {
  CATEGORY,
  type Code,
  concept,
  hl7,
  loinc,
  type Panel,
  SECTION,
  snomed,
  VACCINE,
  VISIT,
} from './codes.ts'

type Json = Record<string, unknown>

const PROGRESS_NOTE = loinc('11506-3', 'Progress note')

export function coverage(chart: Chart, since: string): Json {
  return chart.add('Coverage', {
    status: 'active',
    type: concept(hl7('v3-ActCode', 'EHCPOL', 'extended healthcare')),
    beneficiary: chart.patient,
    relationship: concept(hl7('subscriber-relationship', 'self', 'Self')),
    period: { start: since },
    payor: [
      reference(
        'Organization?identifier=https://samples.example.org/organisations|ORG-1001',
        'Harbourlight General Hospital',
      ),
    ],
  })
}

export interface Routine {
  readonly monthDay: string
  readonly practitioner: string
  readonly heightCm: number
  readonly weightKg: number
  readonly systolic: number
  readonly panels: readonly Panel[]
  readonly cover: Json
}

/** A check-up every so many years: measurements, blood, a vaccine, a note and its bill. */
export function checkUps(chart: Chart, years: readonly number[], routine: Routine): Visit[] {
  return years.map((year, index) => {
    const at = visit(chart, `${year}-${routine.monthDay}`, {
      type: VISIT.checkUp,
      practitioner: routine.practitioner,
    })
    vitals(chart, at, routine.heightCm, routine.weightKg)
    bloodPressure(chart, at, routine.systolic)
    const panel = routine.panels[index % Math.max(1, routine.panels.length)]
    if (panel) labReport(chart, at, panel)
    if (index % 2 === 0) vaccination(chart, at, VACCINE.influenza)
    note(chart, at, PROGRESS_NOTE, `Check-up ${year}. Examination without new findings. Plan unchanged.`)
    if (index % 2 === 1) claim(chart, at, routine.cover, VISIT.checkUp)
    return at
  })
}

export const years = (from: number, to: number, step = 1): number[] => {
  const out: number[] = []
  for (let year = from; year <= to; year += step) out.push(year)
  return out
}

/** A long condition: found, treated, seen again and measured. */
export function longCondition(
  chart: Chart,
  about: {
    readonly date: string
    readonly code: Code
    readonly drug?: Code
    readonly timesADay?: number
    readonly practitioner: string
    readonly followUps: readonly string[]
    readonly panel?: Panel
    readonly scale?: { readonly code: Code; readonly from: number; readonly to: number }
    readonly note?: string
    readonly cover?: Json
  },
): Json {
  const first = visit(chart, about.date, {
    type: VISIT.problem,
    practitioner: about.practitioner,
    reasonText: about.code,
  })
  const found = condition(chart, first, about.code)
  if (about.scale) score(chart, first, about.scale.code, about.scale.from)
  if (about.drug) prescription(chart, first, about.drug, found, about.timesADay ?? 1)
  if (about.note) note(chart, first, loinc('11488-4', 'Consult note'), about.note)
  if (about.cover) claim(chart, first, about.cover, VISIT.problem)
  const count = about.followUps.length
  for (const [index, date] of about.followUps.entries()) {
    const at = visit(chart, date, { type: VISIT.followUp, practitioner: about.practitioner, reason: found })
    if (about.panel) labReport(chart, at, about.panel)
    if (about.scale) {
      const value = about.scale.from + Math.round(((about.scale.to - about.scale.from) * (index + 1)) / count)
      score(chart, at, about.scale.code, value)
    }
    if (about.drug && index % 2 === 1)
      prescription(
        chart,
        at,
        about.drug,
        found,
        about.timesADay ?? 1,
        index === count - 1 ? 'active' : 'completed',
      )
    if (about.cover && index % 4 === 0) claim(chart, at, about.cover, VISIT.followUp)
  }
  return found
}

export function allergy(
  chart: Chart,
  at: Visit,
  code: Code,
  category: 'food' | 'medication' | 'environment',
): void {
  chart.add('AllergyIntolerance', {
    clinicalStatus: concept(hl7('allergyintolerance-clinical', 'active', 'Active')),
    verificationStatus: concept(hl7('allergyintolerance-verification', 'confirmed', 'Confirmed')),
    type: 'allergy',
    category: [category],
    criticality: 'low',
    code: concept(code),
    patient: chart.patient,
    encounter: at.encounter,
    recordedDate: at.end,
  })
}

/** A gene was read: the report, the finding in it, and the talk about it. */
export function geneticTest(
  chart: Chart,
  date: string,
  gene: string,
  variant: string,
  meaning: Code,
  text: string,
): void {
  const at = visit(chart, date, { type: VISIT.problem, practitioner: 'PR-2003' })
  const finding = measured(chart, at, CATEGORY.lab, loinc('69548-6', 'Genetic variant assessment'), {
    valueCodeableConcept: concept(loinc('LA9633-4', 'Present')),
    component: [
      { code: concept(loinc('48018-6', 'Gene studied [ID]')), valueCodeableConcept: { text: gene } },
      { code: concept(loinc('48004-6', 'DNA change (c.HGVS)')), valueCodeableConcept: { text: variant } },
    ],
  })
  chart.add('DiagnosticReport', {
    status: 'final',
    category: [concept(SECTION.genetics)],
    code: concept(loinc('51969-4', 'Genetic analysis report')),
    subject: chart.patient,
    encounter: at.encounter,
    effectiveDateTime: at.start,
    issued: at.end,
    performer: [at.organisation],
    result: [finding],
    conclusion: text,
  })
  condition(chart, at, meaning)
  procedure(chart, at, snomed('79841006', 'Genetic counseling'))
}

const QUESTIONNAIRE = 'https://samples.example.org/questionnaires/how-are-you'

/** What the patient, or a parent for a child, writes herself. */
export function diary(
  chart: Chart,
  dates: readonly string[],
  author: Json,
  question: string,
  answers: readonly string[],
): void {
  for (const [index, date] of dates.entries()) {
    chart.add('QuestionnaireResponse', {
      questionnaire: QUESTIONNAIRE,
      status: 'completed',
      subject: chart.patient,
      authored: `${date}T20:15:00+01:00`,
      author,
      source: author,
      item: [{ linkId: '1', text: question, answer: [{ valueString: answers[index % answers.length] }] }],
    })
  }
}

/** Blood pressure measured at home by the patient. */
export function homePressure(chart: Chart, dates: readonly string[], systolic: number): void {
  const { draw } = chart
  for (const date of dates) {
    chart.add('Observation', {
      status: 'final',
      category: [concept(CATEGORY.vital)],
      code: concept(loinc('85354-9', 'Blood pressure panel with all children optional')),
      subject: chart.patient,
      effectiveDateTime: `${date}T07:30:00+01:00`,
      performer: [chart.patient],
      component: [
        {
          code: concept(loinc('8480-6', 'Systolic blood pressure')),
          valueQuantity: pressure(draw.int(systolic - 9, systolic + 9)),
        },
        {
          code: concept(loinc('8462-4', 'Diastolic blood pressure')),
          valueQuantity: pressure(draw.int(70, 92)),
        },
      ],
    })
  }
}

const pressure = (value: number): Json => ({
  value,
  unit: 'mm[Hg]',
  system: 'http://unitsofmeasure.org',
  code: 'mm[Hg]',
})

/** Who looks after the patient, towards what, by which plan. */
export function carePlan(chart: Chart, at: Visit, addresses: Json, activity: Code, goal: string): void {
  const team = chart.add('CareTeam', {
    status: 'active',
    subject: chart.patient,
    encounter: at.encounter,
    period: { start: at.start },
    participant: [
      { member: at.practitioner, onBehalfOf: at.organisation },
      { member: practitionerReference('PR-2002') },
    ],
  })
  const aim = chart.add('Goal', {
    lifecycleStatus: 'active',
    description: { text: goal },
    subject: chart.patient,
    startDate: at.start.slice(0, 10),
    addresses: [addresses],
  })
  chart.add('CarePlan', {
    status: 'active',
    intent: 'plan',
    subject: chart.patient,
    encounter: at.encounter,
    period: { start: at.start },
    careTeam: [team],
    addresses: [addresses],
    goal: [aim],
    activity: [{ detail: { code: concept(activity), status: 'in-progress', description: activity.display } }],
  })
}

export function familyHistory(chart: Chart, date: string, relation: Code, illness: Code): void {
  chart.add('FamilyMemberHistory', {
    status: 'completed',
    patient: chart.patient,
    date,
    relationship: concept(relation),
    condition: [{ code: concept(illness) }],
  })
}

/** A parent or partner, so that somebody may act or speak for the patient. */
export function relative(
  chart: Chart,
  name: { readonly given: string; readonly family: string; readonly number: string },
  kind: Code,
): Json {
  const made = chart.add('RelatedPerson', {
    active: true,
    patient: chart.patient,
    identifier: [{ system: 'https://samples.example.org/patients', value: name.number }],
    relationship: [concept(kind)],
    name: [{ family: name.family, given: [name.given] }],
  })
  return reference(made['reference'] as string, `${name.given} ${name.family}`)
}

/** Who brought the record together, over the patient and her visits. */
export function provenance(chart: Chart, recorded: string): void {
  const visits = chart.entries
    .filter((e) => e.resource['resourceType'] === 'Encounter')
    .map((e) => reference(e.fullUrl))
  chart.add('Provenance', {
    target: [reference(chart.patient['reference'] as string), ...visits],
    recorded,
    agent: [
      {
        type: concept(hl7('provenance-participant-type', 'author', 'Author')),
        who: practitionerReference('PR-2002'),
      },
    ],
  })
}
