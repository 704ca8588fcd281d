import { describe, expect, test } from 'vitest'
import { readAll } from '../../test/sample-data.ts'
import { directoryOf } from './directory.ts'
import type { SourceFile } from './file-entries.ts'
import { danglingReferences, type FoundResource, isSourceName, readFile, scanFile } from './files.ts'
import { storedText } from './json.ts'

const file = (name: string, content: unknown): SourceFile => ({
  name,
  text: typeof content === 'string' ? content : JSON.stringify(content),
})
const bundle = (type: string, entry: unknown[]): unknown => ({ resourceType: 'Bundle', type, entry })
const UUID = '61ebe359-bfdc-4613-8bf2-c5e300945f0a'
const OTHER = '88f151c0-a954-468a-88bd-5ae15c08e059'

const found = (...files: SourceFile[]): FoundResource[] =>
  readAll(files).filter((item) => item.kind === 'resource')
const names = (...files: SourceFile[]): string[] =>
  readAll(files).map((item) =>
    item.kind === 'resource' ? `${item.type}/${item.id}` : `${item.code} ${item.type}/${item.id}`,
  )

describe('what is a resource of its own', () => {
  test.each(['transaction', 'batch', 'collection', 'searchset'])('entries of a %s', (type) => {
    const entries = [
      { resource: { resourceType: 'Patient', id: 'a' } },
      { resource: { resourceType: 'Patient', id: 'b' } },
    ]
    expect(names(file('x.json', bundle(type, entries)))).toEqual(['Patient/a', 'Patient/b'])
  })

  test.each(['document', 'message', 'history', 'transaction-response', 'batch-response'])(
    'a %s stays whole',
    (type) => {
      const whole = {
        ...(bundle(type, [{ resource: { resourceType: 'Patient', id: 'a' } }]) as object),
        id: 'd',
      }
      expect(names(file('x.json', whole))).toEqual(['Bundle/d'])
    },
  )

  test('nested bundles, contained resources and parameters count once, with what holds them', () => {
    const inner = {
      resourceType: 'Bundle',
      id: 'i',
      type: 'collection',
      entry: [{ resource: { resourceType: 'Patient', id: 'p' } }],
    }
    const outer = bundle('collection', [
      { resource: inner },
      {
        resource: {
          resourceType: 'Parameters',
          id: 'q',
          parameter: [{ name: 'r', resource: { resourceType: 'Patient', id: 'p' } }],
        },
      },
      {
        resource: { resourceType: 'Observation', id: 'o', contained: [{ resourceType: 'Patient', id: 'p' }] },
      },
    ])
    expect(names(file('x.json', outer))).toEqual(['Bundle/i', 'Parameters/q', 'Observation/o'])
  })

  test('entries that only ask are none', () => {
    const entries = [
      { request: { method: 'GET', url: 'Patient/1' } },
      { request: { method: 'DELETE', url: 'Patient/1' } },
    ]
    expect(names(file('x.json', bundle('batch', entries)))).toEqual([])
  })

  test('newline-delimited JSON, with blank lines and a byte order mark', () => {
    const text = '\ufeff{"resourceType":"Patient","id":"a"}\n\n{"resourceType":"Patient","id":"b"}\r\n'
    expect(found(file('p.ndjson', text)).map((r) => [r.id, r.entry])).toEqual([
      ['a', 0],
      ['b', 2],
    ])
  })

  test('the log of a bulk export holds no resources', () => {
    const log = file('log.ndjson', '{"exportId":"1","eventId":"kickoff"}\n{"exportId":"1"}\n')
    expect(scanFile(log).form).toBe('other')
    expect(names(log)).toEqual([])
  })

  test('licences and notes are not read', () => {
    expect(['a.json', 'd/b.ndjson', 'C.JSON'].every(isSourceName)).toBe(true)
    expect(
      ['_LICENSE', '_README.md', '_x.json', 'd/_x.json', '.hidden.json', 'x.xml'].some(isSourceName),
    ).toBe(false)
  })
})

describe('ids', () => {
  test('the resource keeps its own', () => {
    expect(
      names(
        file(
          'x.json',
          bundle('transaction', [
            { fullUrl: `urn:uuid:${UUID}`, resource: { resourceType: 'Patient', id: 'mine' } },
          ]),
        ),
      ),
    ).toEqual(['Patient/mine'])
  })

  test('without one, the uuid of the entry', () => {
    expect(
      names(
        file(
          'x.json',
          bundle('transaction', [{ fullUrl: `urn:uuid:${UUID}`, resource: { resourceType: 'Patient' } }]),
        ),
      ),
    ).toEqual([`Patient/${UUID}`])
  })

  test('without one, the id in the full URL', () => {
    expect(
      names(
        file(
          'x.json',
          bundle('collection', [
            { fullUrl: 'http://e.org/Patient/7', resource: { resourceType: 'Patient' } },
          ]),
        ),
      ),
    ).toEqual(['Patient/7'])
  })

  test('without any name, one that a second import gives again', () => {
    const once = names(file('x.json', { resourceType: 'Patient', active: true }))
    expect(once[0]).toMatch(/^Patient\/[0-9a-f]{32}$/)
    expect(names(file('y.json', { resourceType: 'Patient', active: true }))).toEqual(once)
    expect(names(file('y.json', { resourceType: 'Patient', active: false }))).not.toEqual(once)
  })

  test('a wrong one gives way to the uuid, or is rejected', () => {
    const entries = [
      { fullUrl: `urn:uuid:${UUID}`, resource: { resourceType: 'Patient', id: 'a b' } },
      { resource: { resourceType: 'Patient', id: 'a b' } },
    ]
    expect(names(file('x.json', bundle('transaction', entries)))).toEqual([
      `Patient/${UUID}`,
      'INVALID_ID Patient/',
    ])
  })

  test('two entries of one id: the uuid tells them apart', () => {
    const entries = [
      { fullUrl: `urn:uuid:${UUID}`, resource: { resourceType: 'Patient', id: '1', gender: 'male' } },
      { fullUrl: `urn:uuid:${OTHER}`, resource: { resourceType: 'Patient', id: '1', gender: 'female' } },
      {
        fullUrl: 'urn:uuid:o',
        resource: { resourceType: 'Observation', id: 'o', subject: { reference: `urn:uuid:${OTHER}` } },
      },
    ]
    const resources = found(file('x.json', bundle('transaction', entries)))
    expect(resources.map((r) => r.id)).toEqual(['1', OTHER, 'o'])
    expect(resources[2]?.resource['subject']).toEqual({ reference: `Patient/${OTHER}` })
  })

  test('without a uuid: the same twice is harmless, something else is rejected', () => {
    const lines =
      '{"resourceType":"Patient","id":"1"}\n{"resourceType":"Patient","id":"1"}\n{"resourceType":"Patient","id":"1","active":true}'
    expect(names(file('x.ndjson', lines))).toEqual(['Patient/1', 'Patient/1', 'DUPLICATE_ID Patient/1'])
  })
})

describe('references', () => {
  test('uuids, full URLs and conditions lead to Type/id, over files too', () => {
    const people = file(
      'people.json',
      bundle('transaction', [
        {
          fullUrl: `urn:uuid:${UUID}`,
          resource: { resourceType: 'Practitioner', id: 'dr', identifier: [{ system: 'npi', value: '9' }] },
        },
      ]),
    )
    const chart = file(
      'chart.json',
      bundle('transaction', [
        { fullUrl: 'http://e.org/fhir/Patient/p', resource: { resourceType: 'Patient', id: 'p' } },
        {
          resource: {
            resourceType: 'Observation',
            id: 'o',
            subject: { reference: 'http://e.org/fhir/Patient/p', display: 'x' },
            performer: [
              { reference: 'Practitioner?identifier=npi|9' },
              { reference: `urn:uuid:${UUID}` },
              { reference: 'Practitioner?identifier=npi%7C9' },
            ],
          },
        },
      ]),
    )
    const observation = found(people, chart).find((r) => r.type === 'Observation')
    expect(observation?.resource['subject']).toEqual({ reference: 'Patient/p', display: 'x' })
    expect(observation?.resource['performer']).toEqual(Array(3).fill({ reference: 'Practitioner/dr' }))
    expect(storedText(observation?.exact, { id: 'o' })).not.toContain('urn:uuid')
  })

  test('the same uuid in two files means each file’s own', () => {
    const make = (name: string, id: string): SourceFile =>
      file(
        name,
        bundle('transaction', [
          { fullUrl: `urn:uuid:${UUID}`, resource: { resourceType: 'Patient', id } },
          {
            resource: {
              resourceType: 'Observation',
              id: `of-${id}`,
              subject: { reference: `urn:uuid:${UUID}` },
            },
          },
        ]),
      )
    const subjects = found(make('a.json', 'a'), make('b.json', 'b'))
      .filter((r) => r.type === 'Observation')
      .map((r) => r.resource['subject'])
    expect(subjects).toEqual([{ reference: 'Patient/a' }, { reference: 'Patient/b' }])
  })

  test('a condition that fits two stays as it is', () => {
    const two = ['a', 'b'].map((id) => ({
      resource: { resourceType: 'Practitioner', id, identifier: [{ system: 's', value: '1' }] },
    }))
    const one = {
      resource: {
        resourceType: 'Observation',
        id: 'o',
        performer: [{ reference: 'Practitioner?identifier=s|1' }],
      },
    }
    expect(found(file('x.json', bundle('collection', [...two, one])))[2]?.resource['performer']).toEqual([
      { reference: 'Practitioner?identifier=s|1' },
    ])
  })

  test('a relative reference follows the full URL where the id is another', () => {
    const entries = [
      {
        fullUrl: 'http://t.org/r4/Observation/lri-growth1',
        resource: { resourceType: 'Observation', id: 'growth1' },
      },
      {
        resource: {
          resourceType: 'DiagnosticReport',
          id: 'r',
          result: [{ reference: 'Observation/lri-growth1' }],
        },
      },
    ]
    expect(found(file('x.json', bundle('collection', entries)))[1]?.resource['result']).toEqual([
      { reference: 'Observation/growth1' },
    ])
  })

  test('fragments and identifier values are left alone', () => {
    const entries = [
      {
        fullUrl: `urn:uuid:${UUID}`,
        resource: {
          resourceType: 'Patient',
          id: 'p',
          identifier: [{ system: 'urn:ietf:rfc:3986', value: `urn:uuid:${UUID}` }],
        },
      },
      { resource: { resourceType: 'Observation', id: 'o', specimen: { reference: '#s' } } },
    ]
    const [patient, observation] = found(file('x.json', bundle('transaction', entries)))
    expect(patient?.resource['identifier']).toEqual([
      { system: 'urn:ietf:rfc:3986', value: `urn:uuid:${UUID}` },
    ])
    expect(observation?.resource['specimen']).toEqual({ reference: '#s' })
  })

  test('what leads nowhere is named once', () => {
    const resource = {
      resourceType: 'Observation',
      id: 'o',
      subject: { reference: 'Patient/1' },
      encounter: { reference: 'Encounter/2' },
      performer: [
        { reference: 'Encounter/2' },
        { reference: '#c' },
        { reference: 'http://h.org/Patient/1' },
        { display: 'x' },
      ],
    }
    expect(danglingReferences(resource, (name) => name === 'Patient/1')).toEqual([
      { from: 'Observation/o', to: 'Encounter/2' },
      { from: 'Observation/o', to: 'http://h.org/Patient/1' },
    ])
  })
})

describe('bad input is rejected by name, the rest is read', () => {
  test.each([
    ['not JSON', '{"resourceType":"Patient"', ['NOT_JSON /']],
    ['a duplicate member', '{"resourceType":"Patient","id":"a","id":"b"}', ['DUPLICATE_MEMBER /']],
    ['not a resource', '{"hello":1}', ['NOT_A_RESOURCE /']],
    ['a list', '[1]', ['NOT_A_RESOURCE /']],
    ['an unknown type', '{"resourceType":"Transport","id":"1"}', ['UNKNOWN_TYPE Transport/1']],
  ])('%s', (_what, text, expected) => {
    expect(names(file('x.json', text))).toEqual(expected)
  })

  test('a bad line', () => {
    const text = '{"resourceType":"Patient","id":"a"}\n{oops\n{"resourceType":"Patient","id":"b"}'
    expect(names(file('x.ndjson', text))).toEqual(['Patient/a', 'NOT_JSON /', 'Patient/b'])
  })

  test('a bad entry', () => {
    const entries = [
      { resource: 5 },
      { resource: { id: '1' } },
      { resource: { resourceType: 'Patient', id: 'a' } },
      null,
    ]
    expect(names(file('x.json', bundle('batch', entries)))).toEqual([
      'NOT_A_RESOURCE /',
      'NOT_A_RESOURCE /',
      'Patient/a',
    ])
  })

  test('the input of an operation or patch is no record', () => {
    const entries = [
      {
        resource: { resourceType: 'Parameters', id: 'p' },
        request: { method: 'POST', url: 'ValueSet/$lookup' },
      },
      { resource: { resourceType: 'Binary', id: 'b' }, request: { method: 'PATCH', url: 'Patient/1' } },
    ]
    expect(names(file('x.json', bundle('transaction', entries)))).toEqual([
      'NOT_A_RECORD Parameters/p',
      'NOT_A_RECORD Binary/b',
    ])
  })

  test('a rejection does not repeat what stood where a type belongs', () => {
    const [rejection] = readAll([
      file('x.json', { resourceType: 'Marisol Ferreira, born 1984', id: 'not an id' }),
    ])
    expect(JSON.stringify(rejection)).not.toMatch(/Marisol|not an id/)
  })
})

test('numbers of a bundle keep their digits', () => {
  const text =
    '{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Observation","id":"o","valueQuantity":{"value":5.40}}}]}'
  const [one] = [...readFile(file('x.json', text), directoryOf([]))]
  expect(one?.kind === 'resource' && storedText(one.exact, { id: one.id })).toBe(
    '{"resourceType":"Observation","id":"o","valueQuantity":{"value":5.40}}',
  )
})
