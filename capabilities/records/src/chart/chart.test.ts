import { utf8 } from '@salus/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encounter, glucose, medication, patient } from '../../testing/house.ts'
import { type ChartInput, chart } from './chart.ts'

interface Sample {
  readonly resourceType: string
  readonly id: string
}
const own = (resource: Sample) => ({
  labels: { recordId: `${resource.resourceType}/${resource.id}` } as ChartInput['own'][number]['labels'],
  json: utf8(JSON.stringify(resource)),
})
const leased = (resource: Sample) => ({ json: utf8(JSON.stringify(resource)) })

test('own and foreign records come together, with their sources', () => {
  const result = chart({
    org: 'b',
    own: [own(patient('p')), own(medication('m1', 'p'))],
    foreign: [
      {
        org: 'a',
        state: 'granted',
        versions: [leased(patient('x')), leased(medication('m9', 'x')), leased(glucose('o1', 'x'))],
      },
      { org: 'c', state: 'unreachable', versions: [] },
      { org: 'd', state: 'refused', versions: [] },
    ],
  })
  expect(result.patient).toMatchObject({ resourceType: 'Patient', id: 'p' })
  expect(result.total).toBe(2)
  expect(result.entries.map(({ sources }) => sources.map(({ org, held }) => `${org} ${held}`))).toEqual([
    ['b own', 'a granted'],
    ['a granted'],
  ])
  expect(result.sources).toEqual([
    { org: 'b', state: 'own' },
    { org: 'a', state: 'granted' },
    { org: 'c', state: 'unreachable' },
    { org: 'd', state: 'refused' },
  ])
})

test('a reference to what is not there is bare, one to what is there keeps its words', () => {
  const withLink = glucose('o1', 'p', 5, {
    text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">at the clinic</div>' },
    encounter: { reference: 'Encounter/e1', display: 'Addiction clinic', type: 'Encounter' },
    performer: [{ reference: 'Practitioner/d', display: 'Dr D' }],
    basedOn: [{ identifier: { system: 'urn:x', value: '7' }, type: 'ServiceRequest' }],
  })
  const shown = (records: readonly Sample[]) =>
    chart({ org: 'b', own: [], foreign: [{ org: 'a', state: 'granted', versions: records.map(leased) }] })
      .entries[0]?.resource
  expect(shown([withLink])).toMatchObject({
    encounter: { reference: 'Encounter/e1' },
    performer: [{ reference: 'Practitioner/d', display: 'Dr D' }],
  })
  expect(JSON.stringify(shown([withLink]))).not.toMatch(/Addiction|urn:x|at the clinic/)
  expect(JSON.stringify(shown([withLink, encounter('e1', 'p')]))).toContain('Addiction clinic')
  // The same id at another organisation is another record.
  const mixed = chart({
    org: 'b',
    own: [own(encounter('e1', 'p'))],
    foreign: [{ org: 'a', state: 'granted', versions: [leased(withLink)] }],
  })
  expect(JSON.stringify(mixed)).not.toContain('Addiction clinic')
})

/** A record whose references may lead to any of the ids, visible or not. */
const record = fc
  .record({
    id: fc.constantFrom('r1', 'r2', 'r3', 'r4', 'r5', 'r6'),
    type: fc.constantFrom('glucose', 'medication', 'encounter'),
    to: fc.constantFrom('r1', 'r2', 'r3', 'r4', 'r5', 'r6'),
    display: fc.constantFrom('here', 'there'),
    withheld: fc.boolean(),
    org: fc.constantFrom('a', 'b'),
  })
  .map(({ id, type, to, display, withheld, org }) => {
    const link = { encounter: { reference: `Encounter/${to}`, display, type: 'Encounter' } }
    const resource =
      type === 'glucose'
        ? glucose(id, 'p', 5, link)
        : type === 'medication'
          ? medication(id, 'p', link)
          : encounter(id, 'p')
    return { org, resource, withheld }
  })

test('property: no oracle — withheld records leave a chart as if they had never existed', () => {
  const records = fc.uniqueArray(record, {
    selector: ({ org, resource }) => `${org}/${resource.resourceType}/${resource.id}`,
    maxLength: 14,
  })
  fc.assert(
    fc.property(records, (all) => {
      const hidden = new Set(
        all
          .filter(({ withheld }) => withheld)
          .map(({ resource }) => `${resource.resourceType}/${resource.id}`),
      )
      const of = (list: typeof all, org: string) => list.filter((each) => each.org === org)
      const make = (here: typeof all, there: typeof all) =>
        chart({
          org: 'b',
          own: of(here, 'b').map(({ resource }) => own(resource)),
          maySee: ({ recordId }) => !hidden.has(recordId),
          foreign: [
            { org: 'a', state: 'granted', versions: of(there, 'a').map(({ resource }) => leased(resource)) },
          ],
        })
      // A custodian leaves out what it withholds; here the reader's own rights do.
      const shownThere = all.filter(({ withheld }) => !withheld)
      const present = make(all, shownThere)
      const never = make(
        all.filter(({ resource }) => !hidden.has(`${resource.resourceType}/${resource.id}`)),
        shownThere,
      )
      expect(present).toEqual(never)
      for (const name of hidden)
        for (const { resource, sources } of present.entries)
          if (sources.every(({ org, recordId }) => org === 'b' && recordId !== name))
            expect(JSON.stringify(resource)).not.toContain(`"${name}","`)
    }),
  )
})
