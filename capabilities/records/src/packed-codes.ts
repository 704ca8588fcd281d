/**
 * Code systems that a packed code names by number. Append only: rows keep the numbers. A code is kept as
 * `<number>|<code>`, or `<system>|<code>` for a system that is not listed; three bytes instead of thirty.
 */
const SYSTEMS = [
  'http://snomed.info/sct',
  'http://loinc.org',
  'http://www.nlm.nih.gov/research/umls/rxnorm',
  'http://hl7.org/fhir/sid/cvx',
  'http://hl7.org/fhir/sid/icd-10-cm',
  'http://hl7.org/fhir/sid/icd-10',
  'http://unitsofmeasure.org',
  'http://terminology.hl7.org/CodeSystem/observation-category',
  'http://terminology.hl7.org/CodeSystem/condition-clinical',
  'http://terminology.hl7.org/CodeSystem/condition-ver-status',
  'http://terminology.hl7.org/CodeSystem/condition-category',
  'http://terminology.hl7.org/CodeSystem/v3-ActCode',
  'http://terminology.hl7.org/CodeSystem/claim-type',
  'http://terminology.hl7.org/CodeSystem/processpriority',
  'http://terminology.hl7.org/CodeSystem/adjudication',
  'https://bluebutton.cms.gov/resources/codesystem/adjudication',
  'http://terminology.hl7.org/CodeSystem/v2-0074',
  'http://terminology.hl7.org/CodeSystem/v2-0203',
  'http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical',
  'http://terminology.hl7.org/CodeSystem/allergyintolerance-verification',
  'http://terminology.hl7.org/CodeSystem/v3-ParticipationType',
  'http://dicom.nema.org/resources/ontology/DCM',
  'http://hl7.org/fhir/us/core/CodeSystem/condition-category',
  'http://terminology.hl7.org/CodeSystem/claimcareteamrole',
  'http://terminology.hl7.org/CodeSystem/ex-diagnosistype',
  'http://terminology.hl7.org/CodeSystem/v3-MaritalStatus',
] as const

const numbers = new Map<string, number>(SYSTEMS.map((system, at) => [system, at]))

export interface Coding {
  readonly system: string
  readonly code: string
}

export function packCode({ system, code }: Coding): string {
  return `${numbers.get(system) ?? system}|${code}`
}

export function unpackCode(packed: string): Coding {
  const bar = packed.indexOf('|')
  const head = packed.slice(0, bar)
  return { system: /^\d+$/.test(head) ? (SYSTEMS[Number(head)] ?? head) : head, code: packed.slice(bar + 1) }
}
