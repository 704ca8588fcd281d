import {
  type Chart,
  condition,
  imaging,
  labReport,
  measured,
  note,
  prescription,
  procedure,
  score,
  vaccination,
  visit,
} from './chart.ts'
import { CATEGORY, concept, hl7, loinc, PANELS, rxnorm, snomed, VACCINE, VISIT } from './codes.ts'
import {
  allergy,
  checkUps,
  coverage,
  diary,
  familyHistory,
  longCondition,
  provenance,
  relative,
  years,
} from './episodes.ts'

const PHQ9 = loinc('44261-6', 'Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]')
const GAD7 = loinc('70274-6', 'Generalized anxiety disorder 7 item (GAD-7) total score [Reported.PHQ]')
const DAST10 = loinc('82667-7', 'Total score [DAST-10]')
const PARENT = hl7('v3-RoleCode', 'PRN', 'parent')

/** Lives with HIV, well controlled; only those he chooses should know. */
export function jonas(chart: Chart): void {
  const cover = coverage(chart, '2000-01-01')
  checkUps(chart, years(2005, 2026, 4), {
    monthDay: '04-09',
    practitioner: 'PR-2002',
    heightCm: 178,
    weightKg: 77,
    systolic: 124,
    panels: [PANELS.metabolic, PANELS.lipids],
    cover,
  })
  longCondition(chart, {
    date: '2011-08-30',
    code: snomed('86406008', 'Human immunodeficiency virus infection'),
    drug: rxnorm('1433868', 'dolutegravir'),
    practitioner: 'PR-2001',
    followUps: years(2012, 2026, 2).map((y) => `${y}-08-28`),
    panel: PANELS.viralLoad,
    note: 'Diagnosis explained. Treatment started. Partner informed by himself.',
  })
  longCondition(chart, {
    date: '2017-03-07',
    code: snomed('21897009', 'Generalized anxiety disorder'),
    drug: rxnorm('349332', 'escitalopram 10 MG Oral Tablet'),
    practitioner: 'PR-2004',
    followUps: ['2017-06-06', '2017-12-05', '2018-12-04', '2019-12-03'],
    scale: { code: GAD7, from: 15, to: 5 },
  })
  longCondition(chart, {
    date: '2019-10-08',
    code: snomed('431855005', 'Chronic kidney disease stage 1 (disorder)'),
    practitioner: 'PR-2001',
    followUps: years(2020, 2026, 2).map((y) => `${y}-10-06`),
    panel: PANELS.metabolic,
    cover,
  })
  familyHistory(
    chart,
    '2017-03-07',
    hl7('v3-RoleCode', 'FTH', 'father'),
    snomed('22298006', 'Myocardial infarction (disorder)'),
  )
  diary(chart, ['2024-05-05', '2025-05-04', '2026-05-03'], chart.patient, 'How have you been?', [
    'Calmer.',
    'Well.',
  ])
  provenance(chart, '2026-08-28T17:00:00+01:00')
}

/** Opioids after an operation became a dependence; treated, with pain that stays. */
export function imre(chart: Chart): void {
  const cover = coverage(chart, '2001-01-01')
  const seen = checkUps(chart, years(2007, 2026, 4), {
    monthDay: '06-15',
    practitioner: 'PR-2002',
    heightCm: 174,
    weightKg: 82,
    systolic: 130,
    panels: [PANELS.blood, PANELS.metabolic, PANELS.lipids],
    cover,
  })
  const [first] = seen
  if (first) allergy(chart, first, snomed('232350006', 'House dust mite allergy'), 'environment')
  const back = visit(chart, '2016-02-23', {
    type: VISIT.emergency,
    practitioner: 'PR-2005',
    emergency: true,
    minutes: 50,
  })
  const pain = condition(chart, back, snomed('82423001', 'Chronic pain'))
  imaging(
    chart,
    back,
    ['MR', 'Magnetic Resonance'],
    snomed('241646009', 'Magnetic resonance imaging of lumbar spine'),
    'Disc protrusion at L4/L5.',
  )
  prescription(
    chart,
    back,
    rxnorm('1049221', 'acetaminophen 325 MG / oxycodone hydrochloride 5 MG Oral Tablet'),
    pain,
    4,
    'stopped',
  )
  longCondition(chart, {
    date: '2017-05-16',
    code: snomed('75544000', 'Opioid dependence'),
    drug: rxnorm('1819', 'buprenorphine'),
    practitioner: 'PR-2004',
    followUps: years(2017, 2026, 2).map((y) => `${y}-11-20`),
    scale: { code: DAST10, from: 7, to: 1 },
    note: 'Asks for help. Buprenorphine explained and started.',
  })
  longCondition(chart, {
    date: '2018-01-09',
    code: snomed('36923009', 'Major depression, single episode'),
    drug: rxnorm('200371', 'citalopram 20 MG Oral Tablet'),
    practitioner: 'PR-2004',
    followUps: ['2018-04-10', '2018-07-10', '2019-01-08', '2020-01-07'],
    scale: { code: PHQ9, from: 18, to: 6 },
  })
  diary(chart, ['2023-07-02', '2024-07-07', '2025-07-06', '2026-07-05'], chart.patient, 'How is the pain?', [
    'Four of ten.',
    'Three of ten.',
  ])
  provenance(chart, '2026-06-15T17:00:00+01:00')
}

/** A teenager: some of her record is for her alone. */
export function sanna(chart: Chart): void {
  const cover = coverage(chart, '2009-08-12')
  const father = relative(chart, { given: 'Jonas', family: 'Tallgren', number: 'MRN-30005' }, PARENT)
  checkUps(chart, years(2018, 2026, 2), {
    monthDay: '08-20',
    practitioner: 'PR-2006',
    heightCm: 158,
    weightKg: 49,
    systolic: 108,
    panels: [PANELS.blood],
    cover,
  })
  for (const [date, vaccine] of [
    ['2010-08-17', VACCINE.mmr],
    ['2011-02-15', VACCINE.dtap],
    ['2014-08-19', VACCINE.polio],
    ['2020-08-25', VACCINE.tdap],
  ] as const) {
    vaccination(chart, visit(chart, date, { type: VISIT.wellChild, practitioner: 'PR-2006' }), vaccine)
  }
  longCondition(chart, {
    date: '2018-11-13',
    code: snomed('406506008', 'Attention deficit hyperactivity disorder'),
    drug: rxnorm('1091392', 'methylphenidate hydrochloride 20 MG Oral Tablet'),
    practitioner: 'PR-2004',
    followUps: ['2019-05-14', '2019-11-12', '2020-11-10', '2021-11-09', '2022-11-08', '2023-11-14'],
    cover,
  })
  const fall = visit(chart, '2021-06-29', {
    type: VISIT.emergency,
    practitioner: 'PR-2005',
    emergency: true,
    minutes: 45,
  })
  const fracture = condition(chart, fall, snomed('16114001', 'Fracture of ankle'), 'resolved')
  imaging(
    chart,
    fall,
    ['DX', 'Digital Radiography'],
    snomed('19490002', 'Ankle X-ray'),
    'Fracture of the lateral malleolus, not displaced.',
  )
  procedure(chart, fall, snomed('274474001', 'Bone immobilization'), fracture)
  prescription(chart, fall, rxnorm('282464', 'acetaminophen 160 MG Oral Tablet'), fracture, 3, 'completed')
  const confidential = visit(chart, '2025-10-21', { type: VISIT.problem, practitioner: 'PR-2003' })
  prescription(chart, confidential, rxnorm('748879', 'Levora 0.15/30 28 Day Pack'), undefined, 1)
  measured(
    chart,
    confidential,
    CATEGORY.lab,
    loinc('43304-5', 'Chlamydia trachomatis rRNA [Presence] in Specimen by NAA with probe detection'),
    {
      valueCodeableConcept: concept(snomed('260385009', 'Negative (qualifier value)')),
    },
  )
  note(
    chart,
    confidential,
    loinc('11506-3', 'Progress note'),
    'Spoken with alone. Wishes that her parents are not told.',
  )
  const worried = visit(chart, '2025-11-18', { type: VISIT.problem, practitioner: 'PR-2004' })
  condition(chart, worried, snomed('197480006', 'Anxiety disorder'))
  score(chart, worried, GAD7, 11)
  labReport(chart, worried, PANELS.thyroid)
  diary(chart, ['2022-09-04', '2023-09-03'], father, 'How is school?', [
    'Better with the new teacher.',
    'Homework takes long.',
  ])
  diary(chart, ['2025-12-07', '2026-03-01'], chart.patient, 'How are you?', [
    'Nervous before tests.',
    'Better.',
  ])
  provenance(chart, '2026-08-20T17:00:00+01:00')
}
