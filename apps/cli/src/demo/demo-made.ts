/** A record of the child that no delegation to a parent covers: the files may have none. */
export const CONFIDENTIAL_RECORD = 'Condition/demo-confidential'

/** The record as FHIR JSON; `child` is `Patient/id`. */
export function confidentialText(child: string): string {
  return JSON.stringify({
    resourceType: 'Condition',
    id: CONFIDENTIAL_RECORD.slice('Condition/'.length),
    clinicalStatus: {
      coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }],
    },
    code: { coding: [{ system: 'http://snomed.info/sct', code: '75544000' }] },
    subject: { reference: child },
    recordedDate: '2020-01-01',
  })
}

/** A record that the hosting hospital certainly has of its hosted patient; `hosted` is `Patient/id`. */
export function hostedText(hosted: string): string {
  return JSON.stringify({
    resourceType: 'Immunization',
    id: 'demo-hosted',
    status: 'completed',
    vaccineCode: { coding: [{ system: 'http://hl7.org/fhir/sid/cvx', code: '140' }] },
    patient: { reference: hosted },
    occurrenceDateTime: '2020-01-01',
  })
}
