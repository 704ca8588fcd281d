import { AppError } from '@salus/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { glucose, medication, openHouse, patient } from '../testing/house.ts'
import { type LooseResource, matchesSearch, parseSearch } from './fhir/index.ts'
import { parametersOf } from './patient-search.ts'

const CODES = ['2339-0', '4548-4', '8480-6']
const DATES = ['2018-12-31T23:30:00Z', '2019', '2019-05', '2019-05-01', '2020-02-29T10:00:00+02:00']
const TEXTS = ['Glucose in Blood', 'glücose', 'HbA1c', 'gl']

const observation = fc.record({
  code: fc.constantFrom(...CODES),
  date: fc.constantFrom(...DATES),
  value: fc.constantFrom(0.5, 6.3, 6.35, 100, 7),
  status: fc.constantFrom('final', 'amended'),
  text: fc.constantFrom(...TEXTS),
  encounter: fc.constantFrom('e1', 'e2', undefined),
})

const query = fc.oneof(
  fc.constantFrom(...CODES).map((code) => `code=${code}`),
  fc.constantFrom(...CODES).map((code) => `code=http://loinc.org|${code}`),
  fc.constantFrom(...CODES).map((code) => `code:not=${code}`),
  fc.constantFrom(...TEXTS).map((text) => `code:text=${encodeURIComponent(text)}`),
  fc
    .tuple(
      fc.constantFrom('', 'ge', 'le', 'gt', 'lt', 'ne', 'sa', 'eb', 'ap'),
      fc.constantFrom('2018', '2019', '2019-05', '2019-05-01', '2020-02-29T08:00:00Z'),
    )
    .map(([prefix, date]) => `date=${prefix}${date}`),
  fc
    .tuple(fc.constantFrom('', 'gt', 'le', 'ne', 'ap'), fc.constantFrom('0.5', '6.3', '6.35', '100'))
    .map(([prefix, value]) => `value-quantity=${prefix}${value}`),
  fc.constantFrom(
    'status=final',
    'status=final,amended',
    'encounter=Encounter/e1',
    'encounter:missing=true',
    'patient=Patient/p1',
    '_id=r1',
    'status:missing=false',
  ),
  fc
    .tuple(fc.constantFrom(...CODES), fc.constantFrom('6.3', 'gt6'))
    .map(([code, value]) => `code-value-quantity=${code}$${value}`),
)

test('property: tokens find exactly what a scan of the plaintext finds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(observation, { minLength: 1, maxLength: 8 }),
      fc.array(query, { minLength: 1, maxLength: 3 }),
      fc.integer(),
      async (made, parts, seed) => {
        const house = await openHouse({ seed })
        const resources = made.map(({ code, date, value, status, text, encounter }, at) =>
          glucose(`r${at}`, 'p1', value, {
            status,
            effectiveDateTime: date,
            code: { coding: [{ system: 'http://loinc.org', code }], text },
            ...(encounter === undefined ? {} : { encounter: { reference: `Encounter/${encounter}` } }),
          }),
        )
        const report = await house.take(
          patient('p1'),
          ...resources,
          medication('m1', 'p1'),
          patient('p2'),
          glucose('x1', 'p2', 6.3),
        )
        expect(report.rejected).toEqual([])
        const request = parseSearch(`Observation?${parts.join('&')}`)
        const { owner } = house.owner('p1')
        const found = (await house.search.matches(owner, request)).map(({ labels }) => labels.recordId)
        const expected = resources.filter((resource) =>
          matchesSearch(resource as unknown as LooseResource, request),
        )
        expect([...found].sort()).toEqual(expected.map(({ id }) => `Observation/${id}`).sort())
      },
    ),
    { numRuns: 60 },
  )
})

test('a superseded version is not found by what it said, and another owner never', async () => {
  const house = await openHouse()
  await house.take(patient('p1'), glucose('o1', 'p1', 6), patient('p2'), glucose('o2', 'p2', 6))
  await house.take(glucose('o1', 'p1', 60))
  const find = async (query: string) => (await house.search.find(house.owner('p1').owner, query)).rows.length
  expect(await find('Observation?value-quantity=6')).toBe(0)
  expect(await find('Observation?value-quantity=60')).toBe(1)
  expect(await find('*')).toBe(2)
})

test('what a search reads is told element by element', () => {
  const paths = (query: string) => parametersOf(parseSearch(query)).map((parameter) => parameter.paths)
  expect(paths('Observation?patient=Patient/1&value-quantity=5')).toEqual([
    ['Observation.subject'],
    ['Observation.value'],
  ])
  expect(paths('Observation?code-value-quantity=a$5')).toEqual([['Observation.code', 'Observation.value']])
  expect(paths('Observation?_lastUpdated=2019')).toEqual([['Observation.meta.lastUpdated']])
  expect(() => parseSearch('Observation?code.nope=1')).toThrow(AppError)
})
