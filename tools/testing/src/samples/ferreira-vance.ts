import {
  type Chart,
  claim,
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
  carePlan,
  checkUps,
  coverage,
  diary,
  familyHistory,
  geneticTest,
  homePressure,
  longCondition,
  provenance,
  relative,
  years,
} from './episodes.ts'

const AUDIT_C = loinc('75626-2', 'Total score [AUDIT-C]')
const PHQ9 = loinc('44261-6', 'Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]')
const PARENT = hl7('v3-RoleCode', 'PRN', 'parent')

/** The mother: every category is in her record. */
export function marisol(chart: Chart): void {
  const cover = coverage(chart, '2004-01-01')
  const seen = checkUps(chart, years(2008, 2026, 2), {
    monthDay: '03-12',
    practitioner: 'PR-2002',
    heightCm: 167,
    weightKg: 68,
    systolic: 118,
    panels: [PANELS.lipids, PANELS.metabolic, PANELS.blood],
    cover,
  })
  const [first] = seen
  if (first) allergy(chart, first, snomed('91936005', 'Allergy to penicillin'), 'medication')
  for (const at of seen.slice(5)) score(chart, at, AUDIT_C, chart.draw.int(0, 2))
  const thyroid = longCondition(chart, {
    date: '2009-10-06',
    code: snomed('40930008', 'Hypothyroidism'),
    drug: rxnorm('966224', 'levothyroxine sodium 0.05 MG Oral Tablet'),
    practitioner: 'PR-2001',
    followUps: years(2010, 2026, 2).map((y) => `${y}-10-08`),
    panel: PANELS.thyroid,
    cover,
  })
  const last = seen.at(-1)
  if (last)
    carePlan(
      chart,
      last,
      thyroid,
      snomed('229065009', 'Exercise therapy'),
      'Thyrotropin within the reference range',
    )
  const contraception = visit(chart, '2010-05-20', { type: VISIT.problem, practitioner: 'PR-2003' })
  procedure(chart, contraception, snomed('65200003', 'Insertion of intrauterine contraceptive device'))
  pregnancy(chart, cover)
  longCondition(chart, {
    date: '2014-04-15',
    code: snomed('58703003', 'Postpartum depression'),
    drug: rxnorm('312941', 'sertraline 50 MG Oral Tablet'),
    practitioner: 'PR-2004',
    followUps: ['2014-06-10', '2014-09-09', '2014-12-02', '2015-03-03'],
    scale: { code: PHQ9, from: 16, to: 4 },
    note: 'Low mood since the birth. Sleeps little. Support at home is good.',
    cover,
  })
  geneticTest(
    chart,
    '2019-02-05',
    'BRCA1',
    'c.68_69delAG',
    snomed('412734009', 'BRCA1 gene mutation positive'),
    'Pathogenic variant in BRCA1 present.',
  )
  for (const year of years(2019, 2026, 2)) {
    const at = visit(chart, `${year}-04-18`, { type: VISIT.checkUp, practitioner: 'PR-2005' })
    imaging(
      chart,
      at,
      ['MG', 'Mammography'],
      snomed('24623002', 'Screening mammography (procedure)'),
      'No suspicious finding.',
    )
    claim(chart, at, cover, snomed('24623002', 'Screening mammography (procedure)'))
  }
  longCondition(chart, {
    date: '2021-09-14',
    code: snomed('38341003', 'Hypertensive disorder, systemic arterial (disorder)'),
    drug: rxnorm('197361', 'amlodipine 5 MG Oral Tablet'),
    practitioner: 'PR-2001',
    followUps: ['2022-03-15', '2022-09-13', '2023-09-12', '2024-09-10', '2025-09-09'],
    cover,
  })
  homePressure(
    chart,
    years(2021, 2026)
      .flatMap((y) => [`${y}-10-01`, `${y}-11-01`, `${y}-12-01`])
      .slice(0, 16),
    134,
  )
  diary(
    chart,
    ['2022-01-10', '2023-01-09', '2024-01-08', '2025-01-13', '2026-01-12'],
    chart.patient,
    'How have you been?',
    ['Better since the new tablets.', 'Tired, but well.', 'Well.'],
  )
  provenance(chart, '2026-03-12T17:00:00+01:00')
}

function pregnancy(chart: Chart, cover: Parameters<typeof claim>[2]): void {
  const found = visit(chart, '2013-06-25', { type: VISIT.prenatal, practitioner: 'PR-2003' })
  measured(
    chart,
    found,
    CATEGORY.lab,
    loinc('2106-3', 'Choriogonadotropin (pregnancy test) [Presence] in Urine'),
    { valueCodeableConcept: concept(snomed('10828004', 'Positive (qualifier value)')) },
  )
  const pregnant = condition(chart, found, snomed('72892002', 'Normal pregnancy'))
  for (const date of ['2013-08-06', '2013-10-08', '2013-12-10', '2014-01-21']) {
    const at = visit(chart, date, { type: VISIT.prenatal, practitioner: 'PR-2003', reason: pregnant })
    measured(chart, at, CATEGORY.vital, loinc('11778-8', 'Delivery date Estimated'), {
      valueDateTime: '2014-02-12',
    })
    claim(chart, at, cover, VISIT.prenatal)
  }
  const birth = visit(chart, '2014-02-09', {
    type: VISIT.emergency,
    practitioner: 'PR-2003',
    reason: pregnant,
    emergency: true,
    minutes: 50,
  })
  procedure(chart, birth, snomed('66348005', 'Childbirth'), pregnant)
  note(chart, birth, loinc('11488-4', 'Consult note'), 'Birth without complication. Mother and child well.')
}

/** The father: dependence, treated, in a record that is otherwise ordinary. */
export function tobias(chart: Chart): void {
  const cover = coverage(chart, '2002-01-01')
  const seen = checkUps(chart, years(2006, 2026, 4), {
    monthDay: '05-22',
    practitioner: 'PR-2002',
    heightCm: 182,
    weightKg: 88,
    systolic: 128,
    panels: [PANELS.metabolic, PANELS.lipids, PANELS.blood],
    cover,
  })
  const dependence = longCondition(chart, {
    date: '2012-01-17',
    code: snomed('66590003', 'Alcohol dependence'),
    drug: rxnorm('7243', 'naltrexone'),
    practitioner: 'PR-2004',
    followUps: ['2012-04-17', '2012-10-16', '2013-04-16', '2014-04-15', '2015-04-14', '2016-04-12'],
    scale: { code: AUDIT_C, from: 10, to: 1 },
  })
  const rehabilitation = visit(chart, '2012-02-14', {
    type: VISIT.problem,
    practitioner: 'PR-2004',
    reason: dependence,
  })
  procedure(chart, rehabilitation, snomed('20093000', 'Alcohol rehabilitation'), dependence)
  longCondition(chart, {
    date: '2015-11-10',
    code: snomed('55822004', 'Hyperlipidemia'),
    drug: rxnorm('312961', 'simvastatin 20 MG Oral Tablet'),
    practitioner: 'PR-2001',
    followUps: years(2016, 2026, 2).map((y) => `${y}-11-12`),
    panel: PANELS.lipids,
    cover,
  })
  const knee = visit(chart, '2018-07-03', {
    type: VISIT.problem,
    practitioner: 'PR-2005',
    reasonText: snomed('239873007', 'Osteoarthritis of knee'),
  })
  condition(chart, knee, snomed('239873007', 'Osteoarthritis of knee'))
  imaging(
    chart,
    knee,
    ['MR', 'Magnetic Resonance'],
    snomed('74016001', 'Knee X-ray'),
    'Mild narrowing of the medial joint space.',
  )
  prescription(chart, knee, rxnorm('310965', 'ibuprofen 200 MG Oral Tablet'), undefined, 3, 'completed')
  for (const at of seen.slice(3)) score(chart, at, PHQ9, chart.draw.int(1, 6))
  diary(chart, ['2024-02-02', '2025-02-07', '2026-02-06'], chart.patient, 'How have you been?', [
    'Sober and well.',
    'Knee is sore after work.',
  ])
  provenance(chart, '2026-05-22T17:00:00+01:00')
}

const CHILD_VACCINES = [
  VACCINE.dtap,
  VACCINE.polio,
  VACCINE.mmr,
  VACCINE.dtap,
  VACCINE.polio,
  VACCINE.influenza,
] as const

/** The child of both; her mother writes for her. */
export function nika(chart: Chart): void {
  const cover = coverage(chart, '2014-02-09')
  const mother = relative(chart, { given: 'Marisol', family: 'Ferreira-Vance', number: 'MRN-30001' }, PARENT)
  relative(chart, { given: 'Tobias', family: 'Vance', number: 'MRN-30002' }, PARENT)
  const dates = [
    '2014-03-11',
    '2014-05-13',
    '2014-08-12',
    '2015-02-10',
    '2015-08-11',
    '2016-02-09',
    ...years(2017, 2026).map((y) => `${y}-02-14`),
  ]
  for (const [index, date] of dates.entries()) {
    const at = visit(chart, date, { type: VISIT.wellChild, practitioner: 'PR-2006' })
    measured(chart, at, CATEGORY.vital, loinc('8302-2', 'Body height'), {
      valueQuantity: {
        value: chart.draw.decimal(54 + index * 5, 54.9 + index * 5, 1),
        unit: 'cm',
        system: 'http://unitsofmeasure.org',
        code: 'cm',
      },
    })
    measured(chart, at, CATEGORY.vital, loinc('29463-7', 'Body weight'), {
      valueQuantity: {
        value: chart.draw.decimal(4 + index * 2.2, 4.8 + index * 2.2, 1),
        unit: 'kg',
        system: 'http://unitsofmeasure.org',
        code: 'kg',
      },
    })
    vaccination(chart, at, CHILD_VACCINES[index % CHILD_VACCINES.length] ?? VACCINE.influenza)
    if (index % 3 === 0) labReport(chart, at, PANELS.blood)
    claim(chart, at, cover, VISIT.wellChild)
  }
  geneticTest(
    chart,
    '2014-02-20',
    'CFTR',
    'c.1521_1523delCTT',
    { system: 'http://hl7.org/fhir/sid/icd-10-cm', code: 'Z14.1', display: 'Cystic fibrosis carrier' },
    'Carrier of one CFTR variant. Not affected.',
  )
  const asthma = longCondition(chart, {
    date: '2018-10-23',
    code: snomed('233678006', 'Childhood asthma'),
    drug: rxnorm('745679', '200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler'),
    timesADay: 2,
    practitioner: 'PR-2006',
    followUps: [
      '2019-04-23',
      '2019-10-22',
      '2020-10-20',
      '2021-10-19',
      '2022-10-18',
      '2023-10-17',
      '2024-10-15',
      '2025-10-14',
    ],
    note: 'Cough at night and after running. Inhaler explained to child and mother.',
    cover,
  })
  const attack = visit(chart, '2019-01-15', {
    type: VISIT.emergency,
    practitioner: 'PR-2006',
    reason: asthma,
    emergency: true,
    minutes: 55,
  })
  imaging(
    chart,
    attack,
    ['DX', 'Digital Radiography'],
    snomed('399208008', 'Plain chest X-ray (procedure)'),
    'Hyperinflation. No consolidation.',
  )
  allergy(chart, attack, snomed('91935009', 'Allergy to peanut'), 'food')
  diary(
    chart,
    [
      '2019-03-03',
      '2019-09-08',
      '2020-03-01',
      '2021-03-07',
      '2022-03-06',
      '2023-03-05',
      '2024-03-03',
      '2025-03-02',
    ],
    mother,
    'How was the breathing this month?',
    ['Two bad nights.', 'No symptoms.', 'Needed the inhaler after sport.'],
  )
  provenance(chart, '2026-02-14T17:00:00+01:00')
}

/** The grandmother: the longest record, mostly laboratory and medicines. */
export function edda(chart: Chart): void {
  const cover = coverage(chart, '1975-01-01')
  const seen = checkUps(chart, years(2002, 2026, 4), {
    monthDay: '09-18',
    practitioner: 'PR-2002',
    heightCm: 160,
    weightKg: 74,
    systolic: 138,
    panels: [PANELS.lipids, PANELS.blood],
    cover,
  })
  const diabetes = longCondition(chart, {
    date: '2003-02-11',
    code: snomed('44054006', 'Diabetes mellitus type 2 (disorder)'),
    drug: rxnorm('860975', '24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet'),
    timesADay: 2,
    practitioner: 'PR-2002',
    followUps: years(2004, 2026, 2).map((y) => `${y}-02-13`),
    panel: PANELS.diabetes,
    cover,
  })
  const last = seen.at(-1)
  if (last) carePlan(chart, last, diabetes, snomed('160670007', 'Diabetic diet'), 'HbA1c below 7.5 %')
  longCondition(chart, {
    date: '2016-06-07',
    code: snomed('49436004', 'Atrial fibrillation (disorder)'),
    drug: rxnorm('855332', 'warfarin sodium 5 MG Oral Tablet'),
    practitioner: 'PR-2001',
    followUps: years(2017, 2026).map((y) => `${y}-07-20`),
    panel: PANELS.coagulation,
  })
  const breast = visit(chart, '2010-03-02', {
    type: VISIT.problem,
    practitioner: 'PR-2005',
    reasonText: snomed('254837009', 'Malignant neoplasm of breast (disorder)'),
  })
  imaging(
    chart,
    breast,
    ['MG', 'Mammography'],
    snomed('71651007', 'Mammography (procedure)'),
    'Mass in the left breast, 14 mm.',
  )
  const cancer = condition(chart, breast, snomed('254837009', 'Malignant neoplasm of breast (disorder)'))
  procedure(chart, breast, snomed('69031006', 'Excision of breast tissue (procedure)'), cancer)
  prescription(chart, breast, rxnorm('198240', 'tamoxifen 10 MG Oral Tablet'), cancer, 2, 'completed')
  geneticTest(
    chart,
    '2018-11-20',
    'BRCA1',
    'c.68_69delAG',
    snomed('412734009', 'BRCA1 gene mutation positive'),
    'Pathogenic variant in BRCA1 present.',
  )
  familyHistory(
    chart,
    '2018-11-20',
    hl7('v3-RoleCode', 'MTH', 'mother'),
    snomed('254837009', 'Malignant neoplasm of breast (disorder)'),
  )
  const hip = visit(chart, '2020-05-12', { type: VISIT.problem, practitioner: 'PR-2005' })
  imaging(
    chart,
    hip,
    ['DX', 'Digital Radiography'],
    snomed('268425006', 'Pelvis X-ray'),
    'Osteoarthritis of the right hip.',
  )
  for (const vaccine of [VACCINE.pneumococcal, VACCINE.zoster]) vaccination(chart, hip, vaccine)
  diary(chart, ['2025-06-01', '2026-06-07'], chart.patient, 'How have you been?', [
    'The hip hurts on stairs.',
    'Walks every day.',
  ])
  provenance(chart, '2026-09-18T17:00:00+01:00')
}
