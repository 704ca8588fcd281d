import fc from 'fast-check'
import { expect, test } from 'vitest'
import { reconcile, type SourcedResource } from './reconcile.ts'

const immunization = (org: string, id: string, display: string, day = '2020-03-01'): SourcedResource => ({
  org,
  recordId: `Immunization/${id}`,
  held: org === 'b' ? 'own' : 'granted',
  resource: {
    resourceType: 'Immunization',
    id,
    vaccineCode: { coding: [{ system: 'http://hl7.org/fhir/sid/cvx', code: '140', display }] },
    occurrenceDateTime: `${day}T10:00:00Z`,
  },
})

test('the same vaccination in two words is one entry with two sources', () => {
  const chart = reconcile([immunization('b', '1', 'Influenza'), immunization('a', '2', 'Flu shot')])
  expect(chart).toHaveLength(1)
  expect(chart[0]?.sources.map(({ org }) => org)).toEqual(['b', 'a'])
  expect(chart[0]?.alsoAs).toHaveLength(1)
})

test('another day, or the same organisation twice, stays apart', () => {
  expect(reconcile([immunization('b', '1', 'x'), immunization('a', '2', 'x', '2020-03-02')])).toHaveLength(2)
  expect(reconcile([immunization('a', '1', 'x'), immunization('a', '2', 'x')])).toHaveLength(2)
})

test('property: every record is in exactly one entry, whatever the order', () => {
  const record = fc
    .record({
      org: fc.constantFrom('a', 'b', 'c'),
      id: fc.uuid(),
      day: fc.constantFrom('2020-01-01', '2020-01-02'),
    })
    .map(({ org, id, day }) => immunization(org, id, 'x', day))
  fc.assert(
    fc.property(
      fc.uniqueArray(record, { selector: ({ recordId }) => recordId, maxLength: 12 }),
      (records) => {
        const ids = reconcile(records).flatMap(({ sources }) => sources.map(({ recordId }) => recordId))
        expect([...ids].sort()).toEqual(records.map(({ recordId }) => recordId).sort())
      },
    ),
  )
})
