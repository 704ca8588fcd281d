/** Codings used by the samples; displays as published by their systems. */
export interface Code {
  readonly system: string
  readonly code: string
  readonly display: string
}

const SNOMED = 'http://snomed.info/sct'
const LOINC = 'http://loinc.org'
const RXNORM = 'http://www.nlm.nih.gov/research/umls/rxnorm'
const CVX = 'http://hl7.org/fhir/sid/cvx'
const HL7 = 'http://terminology.hl7.org/CodeSystem'

export const snomed = (code: string, display: string): Code => ({ system: SNOMED, code, display })
export const loinc = (code: string, display: string): Code => ({ system: LOINC, code, display })
export const rxnorm = (code: string, display: string): Code => ({ system: RXNORM, code, display })
export const cvx = (code: string, display: string): Code => ({ system: CVX, code, display })
export const hl7 = (table: string, code: string, display: string): Code => ({
  system: `${HL7}/${table}`,
  code,
  display,
})

export const concept = (code: Code, text = code.display): object => ({ coding: [code], text })

/** Marks every resource as made up: HL7's own code for test data. */
export const SYNTHETIC: Code = hl7('v3-ActReason', 'HTEST', 'test health data')

export const CATEGORY = {
  vital: hl7('observation-category', 'vital-signs', 'Vital Signs'),
  lab: hl7('observation-category', 'laboratory', 'Laboratory'),
  survey: hl7('observation-category', 'survey', 'Survey'),
  social: hl7('observation-category', 'social-history', 'Social History'),
} as const

export const SECTION = {
  lab: hl7('v2-0074', 'LAB', 'Laboratory'),
  radiology: hl7('v2-0074', 'RAD', 'Radiology'),
  genetics: hl7('v2-0074', 'GE', 'Genetics'),
} as const

/** A laboratory test with the range its samples are drawn from. */
export interface LabTest {
  readonly code: Code
  readonly low: number
  readonly high: number
  readonly digits: number
  readonly unit: string
}

const lab = (
  code: string,
  display: string,
  low: number,
  high: number,
  digits: number,
  unit: string,
): LabTest => ({
  code: loinc(code, display),
  low,
  high,
  digits,
  unit,
})

export interface Panel {
  readonly code: Code
  readonly tests: readonly LabTest[]
}

export const PANELS = {
  lipids: {
    code: loinc('57698-3', 'Lipid panel with direct LDL - Serum or Plasma'),
    tests: [
      lab('2093-3', 'Cholesterol [Mass/volume] in Serum or Plasma', 160, 245, 0, 'mg/dL'),
      lab('2085-9', 'Cholesterol in HDL [Mass/volume] in Serum or Plasma', 38, 72, 0, 'mg/dL'),
      lab(
        '18262-6',
        'Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay',
        80,
        165,
        0,
        'mg/dL',
      ),
      lab('2571-8', 'Triglyceride [Mass/volume] in Serum or Plasma', 70, 210, 0, 'mg/dL'),
    ],
  },
  metabolic: {
    code: loinc('51990-0', 'Basic metabolic panel - Blood'),
    tests: [
      lab('2339-0', 'Glucose [Mass/volume] in Blood', 74, 108, 0, 'mg/dL'),
      lab('38483-4', 'Creatinine [Mass/volume] in Blood', 0.6, 1.3, 2, 'mg/dL'),
      lab('6298-4', 'Potassium [Moles/volume] in Blood', 3.6, 5.0, 1, 'mmol/L'),
      lab('2947-0', 'Sodium [Moles/volume] in Blood', 135, 145, 0, 'mmol/L'),
    ],
  },
  blood: {
    code: loinc('58410-2', 'CBC panel - Blood by Automated count'),
    tests: [
      lab('718-7', 'Hemoglobin [Mass/volume] in Blood', 11.8, 16.4, 1, 'g/dL'),
      lab('6690-2', 'Leukocytes [#/volume] in Blood by Automated count', 4.2, 10.4, 1, '10*3/uL'),
      lab('777-3', 'Platelets [#/volume] in Blood by Automated count', 160, 380, 0, '10*3/uL'),
    ],
  },
  diabetes: {
    code: loinc('4548-4', 'Hemoglobin A1c/Hemoglobin.total in Blood'),
    tests: [lab('4548-4', 'Hemoglobin A1c/Hemoglobin.total in Blood', 6.3, 8.4, 1, '%')],
  },
  thyroid: {
    code: loinc('3016-3', 'Thyrotropin [Units/volume] in Serum or Plasma'),
    tests: [lab('3016-3', 'Thyrotropin [Units/volume] in Serum or Plasma', 0.9, 5.6, 2, 'm[IU]/L')],
  },
  coagulation: {
    code: loinc('6301-6', 'INR in Platelet poor plasma by Coagulation assay'),
    tests: [lab('6301-6', 'INR in Platelet poor plasma by Coagulation assay', 1.8, 3.4, 1, '{INR}')],
  },
  viralLoad: {
    code: loinc(
      '20447-9',
      'HIV 1 RNA [#/volume] (viral load) in Serum or Plasma by NAA with probe detection',
    ),
    tests: [
      lab(
        '20447-9',
        'HIV 1 RNA [#/volume] (viral load) in Serum or Plasma by NAA with probe detection',
        0,
        48,
        0,
        '{copies}/mL',
      ),
    ],
  },
  pregnancy: {
    code: loinc('2106-3', 'Choriogonadotropin (pregnancy test) [Presence] in Urine'),
    tests: [],
  },
} as const satisfies Record<string, Panel>

export const VISIT = {
  checkUp: snomed('185349003', 'Encounter for check up (procedure)'),
  problem: snomed('185347001', 'Encounter for problem'),
  wellChild: snomed('410620009', 'Well child visit (procedure)'),
  prenatal: snomed('424619006', 'Prenatal visit'),
  emergency: snomed('50849002', 'Emergency room admission (procedure)'),
  followUp: snomed('390906007', 'Follow-up encounter'),
  telephone: snomed('185317003', 'Telephone encounter (procedure)'),
} as const

export const VACCINE = {
  influenza: cvx('140', 'Influenza, seasonal, injectable, preservative free'),
  tdap: cvx('115', 'Tdap'),
  mmr: cvx('03', 'MMR'),
  dtap: cvx('20', 'DTaP'),
  polio: cvx('10', 'IPV'),
  pneumococcal: cvx('33', 'pneumococcal polysaccharide vaccine, 23 valent'),
  zoster: cvx('121', 'zoster'),
} as const
