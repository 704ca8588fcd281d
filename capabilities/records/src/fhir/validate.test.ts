import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { IssueCode } from './types.ts'
import { isKnownType, validate } from './validate.ts'

const patient = {
  resourceType: 'Patient',
  id: 'p1',
  gender: 'female',
  birthDate: '1984-05-17',
  name: [{ family: 'Ferreira' }],
}
const observation = {
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '718-7' }] },
  valueQuantity: { value: 13.2, unit: 'g/dL' },
}

const nested = (levels: number): unknown => {
  let extension: unknown = { url: 'http://example.org/e', valueString: 'x' }
  for (let i = 0; i < levels; i++) extension = { url: 'http://example.org/e', extension: [extension] }
  return { resourceType: 'Patient', extension: [extension] }
}

test('what is right has no issues', () => {
  expect(validate(patient)).toEqual([])
  expect(validate(observation)).toEqual([])
})

const BAD: readonly (readonly [what: string, resource: unknown, code: IssueCode, path: string])[] = [
  ['not an object', 'Patient', 'NOT_A_RESOURCE', ''],
  ['a list', [patient], 'NOT_A_RESOURCE', ''],
  ['nothing', null, 'NOT_A_RESOURCE', ''],
  ['no type', { id: 'a' }, 'NOT_A_RESOURCE', ''],
  ['a type of R5', { resourceType: 'Transport' }, 'UNKNOWN_TYPE', '.resourceType'],
  ['an abstract type', { resourceType: 'DomainResource' }, 'UNKNOWN_TYPE', '.resourceType'],
  ['an id with a space', { ...patient, id: 'a b' }, 'INVALID_ID', 'Patient.id'],
  ['an id of 65', { ...patient, id: 'a'.repeat(65) }, 'INVALID_ID', 'Patient.id'],
  ['a wrong required code', { ...patient, gender: 'nope' }, 'REQUIRED_CODE', 'Patient.gender'],
  ['a wrong status', { ...observation, status: 'finished' }, 'REQUIRED_CODE', 'Observation.status'],
  [
    'a concept outside its required set',
    {
      resourceType: 'AllergyIntolerance',
      patient: { reference: 'Patient/1' },
      clinicalStatus: {
        coding: [
          { system: 'http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical', code: 'gone' },
        ],
      },
    },
    'REQUIRED_CODE',
    'AllergyIntolerance.clinicalStatus',
  ],
  ['a date that is none', { ...patient, birthDate: '1984-02-30' }, 'VALUE', 'Patient.birthDate'],
  [
    'a number as text',
    { ...observation, valueQuantity: { value: '13.2' } },
    'STRUCTURE',
    'Observation.value[x].value',
  ],
  ['an unknown element', { ...patient, nickname: 'M' }, 'STRUCTURE', 'Patient'],
  ['a missing element', { ...observation, status: undefined }, 'STRUCTURE', 'Observation.status'],
  ['a list where one belongs', { ...patient, birthDate: ['1984-05-17'] }, 'STRUCTURE', 'Patient.birthDate'],
  ['a broken rule', { ...patient, contact: [{ gender: 'female' }] }, 'INVARIANT', 'Patient.contact[0]'],
  ['too deep', nested(60), 'TOO_DEEP', ''],
  ['too big', { ...patient, text: { status: 'generated', div: 'x'.repeat(6 * 1024 * 1024) } }, 'TOO_BIG', ''],
]

describe('bad input', () => {
  test.each(BAD)('%s', (_what, resource, code, path) => {
    const issues = validate(resource)
    expect(issues.map((i) => i.code)).toContain(code)
    const found = issues.find((i) => i.code === code)
    expect(found?.path).toBe(path)
    expect(found?.message).not.toBe('')
    expect(found?.mend).not.toBe('')
  })

  test('a type nobody knows, inside', () => {
    expect(
      validate({ ...patient, contained: [{ resourceType: 'Secret', id: 'x' }] }).map((i) => i.code),
    ).toEqual(['UNKNOWN_TYPE'])
  })

  test('issues do not repeat values', () => {
    const secret = 'Zebulon-42'
    const bad = [
      { ...patient, gender: secret },
      { ...patient, birthDate: secret },
      { ...patient, id: `${secret} ` },
      { ...patient, [secret]: secret },
      { resourceType: secret },
      { ...patient, contact: [{ gender: secret }] },
      { ...patient, managingOrganization: { reference: `${secret}/1` } },
      { ...observation, valueQuantity: secret },
    ]
    for (const resource of bad) {
      expect(JSON.stringify(validate(resource))).not.toContain(secret)
    }
  })
})

test('property: no input makes it throw', () => {
  const shape = fc.object({
    maxDepth: 4,
    key: fc.constantFrom(
      'id',
      'name',
      'status',
      'code',
      'coding',
      'contained',
      'resource',
      'entry',
      'meta',
      'valueQuantity',
      'resourceType',
      'text',
      'extension',
    ),
  })
  const type = fc.constantFrom('Patient', 'Observation', 'Bundle', 'Parameters', 'Binary', 'Claim')
  fc.assert(
    fc.property(type, shape, (resourceType, content) => {
      expect(Array.isArray(validate({ ...content, resourceType }))).toBe(true)
    }),
    { numRuns: 300 },
  )
})

test('known types', () => {
  expect(['Patient', 'MolecularSequence', 'Bundle'].every(isKnownType)).toBe(true)
  expect(['Resource', 'Transport', 'patient', '', '__proto__', 'SubscriptionStatus'].some(isKnownType)).toBe(
    false,
  )
})
