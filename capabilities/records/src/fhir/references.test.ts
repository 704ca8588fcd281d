import { describe, expect, test } from 'vitest'
import { parseReference, walkReferences } from './references.ts'

describe('parseReference', () => {
  test.each([
    ['Patient/1', { type: 'Patient', id: '1', base: undefined }],
    ['Patient/1/_history/3', { type: 'Patient', id: '1', base: undefined }],
    [
      'http://example.org/fhir/Patient/a.b-c',
      { type: 'Patient', id: 'a.b-c', base: 'http://example.org/fhir' },
    ],
    [
      'https://example.org/Observation/1/_history/2',
      { type: 'Observation', id: '1', base: 'https://example.org' },
    ],
    ['#contained', undefined],
    ['urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a', undefined],
    ['Patient?identifier=a|b', undefined],
    ['Patient/', undefined],
    ['patient/1', undefined],
    ['', undefined],
  ])('%s', (text, expected) => {
    expect(parseReference(text)).toEqual(expected)
  })
})

test('every reference, with its path and whether it says more than where it leads', () => {
  const found = walkReferences({
    resourceType: 'Observation',
    subject: { reference: 'Patient/1', display: 'Marisol' },
    performer: [{ reference: 'Practitioner/2' }, { identifier: { system: 's', value: 'v' } }],
    contained: [{ resourceType: 'Specimen', id: 's', subject: { reference: 'Patient/1' } }],
    specimen: { reference: '#s' },
    extension: [{ url: 'u', valueReference: { reference: 'Device/3', type: 'Device' } }],
    component: [{ code: { text: 'x' }, extension: [{ url: 'u', valueReference: { display: 'somebody' } }] }],
  })
  expect(found.map(({ path, reference, rest }) => [path, reference, rest])).toEqual([
    ['Observation.subject', 'Patient/1', true],
    ['Observation.performer[0]', 'Practitioner/2', false],
    ['Observation.performer[1]', undefined, true],
    ['Observation.contained[0].subject', 'Patient/1', false],
    ['Observation.specimen', '#s', false],
    ['Observation.extension[0].valueReference', 'Device/3', true],
    ['Observation.component[0].extension[0].valueReference', undefined, true],
  ])
})

test('a Coding with a display is not a reference', () => {
  expect(
    walkReferences({ resourceType: 'Encounter', class: { system: 's', code: 'AMB', display: 'ambulatory' } }),
  ).toEqual([])
})

test('nor is one with nothing but a display', () => {
  const code = { coding: [{ display: 'ambulatory' }] }
  expect(
    walkReferences({ resourceType: 'Condition', code, asserter: { display: 'Dr. Quist' } }).map(
      (r) => r.path,
    ),
  ).toEqual(['Condition.asserter'])
})

test('a reference with members that do not belong there is still found', () => {
  const subject = { reference: 'Patient/2', nickname: 'x' }
  expect(walkReferences({ resourceType: 'Condition', subject }).map((r) => r.reference)).toEqual([
    'Patient/2',
  ])
})
