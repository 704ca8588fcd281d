import { matchesSearchRequest, type SearchRequest } from '@medplum/core'
import type { Resource } from '@medplum/fhirtypes'
import { AppError } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { describeWithData, resourcesIn, SHIPPED } from '../../test/sample-data.ts'
import { loadSearchParameters } from './definitions.ts'
import type { FoundResource } from './files.ts'
import { matchesSearch } from './search-match.ts'
import { parseSearch } from './search-parse.ts'
import { compiledParameters, evaluate, partsFor, valuesOf } from './search-paths.ts'
import { queryTokens, searchTokens, typeToken } from './search-values.ts'
import type { LooseResource } from './types.ts'

/** The walker and FHIRPath must find the same values; known exceptions are where FHIRPath resolves less. */
function compareWithFhirPath(resources: readonly FoundResource[], known: readonly string[] = []): void {
  const different = new Set<string>()
  for (const { resource } of resources) {
    for (const parameter of compiledParameters(resource.resourceType).values()) {
      const expression = partsFor(resource.resourceType, parameter.parameter.expression ?? '').join(' | ')
      if (!parameter.walks || expression === '') continue
      const texts = (values: readonly { value?: unknown }[]): string =>
        [...new Set(values.map((v) => JSON.stringify(v.value)))].sort().join()
      if (texts(valuesOf(resource, parameter)) !== texts(evaluate(resource, expression)))
        different.add(`${resource.resourceType}.${parameter.code}`)
    }
  }
  expect([...different].sort()).toEqual(known)
}

test('walks agree with FHIRPath on the shipped samples', () =>
  compareWithFhirPath(resourcesIn(SHIPPED).filter((_, index) => index % 3 === 0)))

describeWithData('hl7-r4-examples', (folder) => {
  test('walks agree with FHIRPath', { timeout: 30_000 }, () => {
    const resources = resourcesIn(folder).filter(
      (r) => r.type !== 'SearchParameter' && r.type !== 'NamingSystem',
    )
    // Absolute references to patients, and equal quantities that differ in their comparator.
    compareWithFhirPath(resources, [
      'Observation.combo-value-quantity',
      'Observation.component-value-quantity',
      'Person.patient',
      'Person.practitioner',
      'QuestionnaireResponse.patient',
    ])
  })
})

const bp: LooseResource = {
  resourceType: 'Observation',
  id: 'bp',
  status: 'final',
  category: [
    {
      coding: [
        {
          system: 'http://terminology.hl7.org/CodeSystem/observation-category',
          code: 'vital-signs',
          display: 'Vital Signs',
        },
      ],
    },
  ],
  code: {
    coding: [{ system: 'http://loinc.org', code: '85354-9', display: 'Blood pressure panel' }],
    text: 'Blood pressure',
  },
  subject: { reference: 'Patient/1' },
  encounter: { reference: 'Encounter/7' },
  effectiveDateTime: '2015-03-07T10:15:00+01:00',
  component: [
    {
      code: { coding: [{ system: 'http://loinc.org', code: '8480-6' }] },
      valueQuantity: { value: 134, unit: 'mmHg', system: 'http://unitsofmeasure.org', code: 'mm[Hg]' },
    },
    {
      code: { coding: [{ system: 'http://loinc.org', code: '8462-4' }] },
      valueQuantity: { value: 82, unit: 'mmHg', system: 'http://unitsofmeasure.org', code: 'mm[Hg]' },
    },
  ],
}
const patient: LooseResource = {
  resourceType: 'Patient',
  id: '1',
  gender: 'female',
  birthDate: '1984-05-17',
  deceasedBoolean: false,
  name: [{ family: 'Ferreira-Vançé', given: ['Marisol', 'Ana'] }],
  telecom: [{ system: 'email', value: 'm@example.org' }],
  address: [{ city: 'Lowmere', postalCode: '0815' }],
  identifier: [{ system: 's', value: 'MRN-1' }],
}
const condition: LooseResource = {
  resourceType: 'Condition',
  id: 'c',
  subject: { reference: 'Patient/1' },
  code: { text: 'x' },
  onsetPeriod: { start: '2010-01-05', end: '2014-06-01' },
}
const questionnaire: LooseResource = {
  resourceType: 'QuestionnaireResponse',
  id: 'q',
  status: 'completed',
  questionnaire: 'http://e.org/q/1',
}
const risk: LooseResource = {
  resourceType: 'RiskAssessment',
  id: 'r',
  status: 'final',
  subject: { reference: 'Patient/1' },
  prediction: [{ probabilityDecimal: 0.42 }],
}

const MATCHES: readonly (readonly [search: string, resource: LooseResource, matches: boolean])[] = [
  ['Observation?code=85354-9', bp, true],
  ['Observation?code=http://loinc.org|85354-9', bp, true],
  ['Observation?code=http://snomed.info/sct|85354-9', bp, false],
  ['Observation?code=|85354-9', bp, false],
  ['Observation?code=http://loinc.org|', bp, true],
  ['Observation?code=1,85354-9', bp, true],
  ['Observation?code:not=85354-9', bp, false],
  ['Observation?code:not=1', bp, true],
  ['Observation?code:text=blood pr', bp, true],
  ['Observation?combo-code=8480-6', bp, true],
  ['Observation?code=8480-6', bp, false],
  ['Observation?status=final', bp, true],
  ['Observation?status=FINAL', bp, true],
  ['Observation?value-quantity:missing=true', bp, true],
  ['Observation?code:missing=true', bp, false],
  ['Observation?subject=Patient/1', bp, true],
  ['Observation?patient=1', bp, true],
  ['Observation?subject:Patient=1', bp, true],
  ['Observation?subject=Patient/2', bp, false],
  ['Observation?encounter=Encounter/7', bp, true],
  ['Observation?encounter=7', bp, true],
  ['Observation?date=2015', bp, true],
  ['Observation?date=2015-03-07', bp, true],
  ['Observation?date=2015-03-08', bp, false],
  ['Observation?date=ge2015-03-07', bp, true],
  ['Observation?date=gt2015-03-07', bp, false],
  ['Observation?date=lt2015-03-07', bp, false],
  ['Observation?date=le2015-03-07', bp, true],
  ['Observation?date=ne2015', bp, false],
  ['Observation?date=sa2015-03-06', bp, true],
  ['Observation?date=eb2015-03-08', bp, true],
  ['Observation?date=ap2015-03-08', bp, true],
  ['Observation?date=ge2015-03-01&date=lt2015-04-01', bp, true],
  ['Observation?date=2014,2015', bp, true],
  ['Observation?component-value-quantity=134', bp, true],
  ['Observation?component-value-quantity=gt133|http://unitsofmeasure.org|mm[Hg]', bp, true],
  ['Observation?component-value-quantity=134||mmHg', bp, true],
  ['Observation?component-value-quantity=134|http://unitsofmeasure.org|kg', bp, false],
  ['Observation?component-value-quantity=133.9', bp, false],
  ['Observation?component-value-quantity=1.3e2', bp, true],
  ['Observation?combo-value-quantity=lt90', bp, true],
  ['Observation?component-code-value-quantity=8480-6$gt130', bp, true],
  ['Observation?component-code-value-quantity=8462-4$gt130', bp, false],
  [
    'Observation?component-code-value-quantity=http://loinc.org|8480-6$134|http://unitsofmeasure.org|mm[Hg]',
    bp,
    true,
  ],
  ['Observation?combo-code-value-quantity=8462-4$lt90', bp, true],
  ['Patient?name=ferr', patient, true],
  ['Patient?name=vance', patient, false],
  ['Patient?name:contains=vance', patient, true],
  ['Patient?given=marisol', patient, true],
  ['Patient?given=ma', patient, true],
  ['Patient?family:exact=Ferreira-Vançé', patient, true],
  ['Patient?family:exact=ferreira-vançé', patient, false],
  ['Patient?birthdate=1984', patient, true],
  ['Patient?birthdate=lt1984', patient, false],
  ['Patient?email=m@example.org', patient, true],
  ['Patient?phone=m@example.org', patient, false],
  ['Patient?address-city=low', patient, true],
  ['Patient?identifier=s|mrn-1', patient, true],
  ['Patient?deceased=false', patient, true],
  ['Patient?_id=1', patient, true],
  ['Condition?onset-date=2012', condition, false],
  ['Condition?onset-date=ap2012', condition, true],
  ['Condition?onset-date=gt2013', condition, true],
  ['Condition?onset-date=lt2010', condition, false],
  ['QuestionnaireResponse?questionnaire=http://e.org/q/1', questionnaire, true],
  ['RiskAssessment?probability=0.42', risk, true],
  ['RiskAssessment?probability=gt0.8', risk, false],
  ['RiskAssessment?probability=lt0.5', risk, true],
]

describe('matching', () => {
  test.each(MATCHES)('%s: %#', (search, resource, matches) => {
    expect(matchesSearch(resource, parseSearch(search))).toBe(matches)
  })

  test('another type never matches', () => {
    expect(matchesSearch(patient, parseSearch('Observation?code:missing=true'))).toBe(false)
  })
})

/** A resource that matches must be among those its tokens find. */
function tokensFind(resource: LooseResource, request: SearchRequest): boolean {
  const own = new Set(searchTokens(resource))
  return (request.filters ?? []).every((filter) =>
    (queryTokens(resource.resourceType, filter) ?? [[typeToken(resource.resourceType)]]).every((any) =>
      any.some((token) => own.has(token)),
    ),
  )
}

describe('tokens', () => {
  test.each(MATCHES.filter(([, , matches]) => matches))('find %s', (search, resource) => {
    expect(tokensFind(resource, parseSearch(search))).toBe(true)
  })

  test('are few, and say nothing of the owner', () => {
    const tokens = searchTokens(bp)
    expect(tokens.length).toBeLessThan(26)
    expect(tokens.some((token) => token.includes('Patient/'))).toBe(false)
  })

  test('of a code', () => {
    expect(searchTokens(bp).filter((token) => token.startsWith('Observation|code|'))).toEqual([
      'Observation|code|t|http://loinc.org|85354-9',
      'Observation|code|c|85354-9',
    ])
  })

  test('property: dates and amounts that match are always found', () => {
    const day = fc
      .date({ min: new Date('1700-01-01'), max: new Date('2400-01-01'), noInvalidDate: true })
      .chain((d) => fc.constantFrom(4, 7, 10).map((length) => d.toISOString().slice(0, length)))
    const value = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e7, max: 1e7 }),
      fc.integer({ min: -200, max: 200 }),
      fc.constantFrom(0, 5.4, 1e-9, 1e12),
    )
    const prefix = fc.constantFrom('', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap', 'ne')
    fc.assert(
      fc.property(day, fc.option(day), day, value, value, prefix, (start, end, askedDay, held, asked, p) => {
        const period =
          end !== null && end >= start ? { effectivePeriod: { start, end } } : { effectiveDateTime: start }
        const resource: LooseResource = {
          resourceType: 'Observation',
          id: 'x',
          ...period,
          valueQuantity: { value: held },
        }
        for (const search of [
          `Observation?date=${p}${askedDay}`,
          `Observation?value-quantity=${p}${asked}`,
          `Observation?value-quantity=${p}${held}`,
          `Observation?date=${p}${start}`,
        ]) {
          const request = parseSearch(encodeURI(search).replaceAll('+', '%2B'))
          if (matchesSearch(resource, request)) expect(tokensFind(resource, request), search).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('a resource with very many values is a candidate for every search of its type', () => {
    const huge: LooseResource = {
      resourceType: 'List',
      id: 'l',
      entry: Array.from({ length: 1000 }, (_, i) => ({ item: { reference: `Observation/${i}` } })),
    }
    expect(searchTokens(huge).length).toBeLessThan(410)
    expect(tokensFind(huge, parseSearch('List?item=Observation/999'))).toBe(true)
  })
})

describe('agreement with @medplum/core', () => {
  const searches = [
    'status=final',
    'category=laboratory',
    'code=http://loinc.org|718-7',
    'code:not=718-7',
    'date=ge2015',
    'date=lt2020-01-01',
    'encounter:missing=true',
  ]
  test.each(searches)('Observation?%s', (query) => {
    loadSearchParameters('Observation')
    const request = parseSearch(`Observation?${query}`)
    for (const { resource } of resourcesIn(SHIPPED).filter((r) => r.type === 'Observation')) {
      expect(matchesSearch(resource, request)).toBe(
        matchesSearchRequest(resource as unknown as Resource, request),
      )
    }
  })
})

describe('bad searches', () => {
  test.each([
    'Transport?status=x',
    'Observation?nickname=x',
    'Observation?code',
    'Observation?code:below=x',
    'Observation?date=yesterday',
    'Observation?date=2015-13',
    'Observation?value-quantity=much',
    'Observation?subject.name=x',
    'Observation?_has:Provenance:target:agent=1',
    'Observation?code:missing=maybe',
    'Observation?_content=x',
    `Observation?code=${'x'.repeat(9000)}`,
    `Observation?${'code=x&'.repeat(51)}`,
  ])('%#', (search) => {
    expect(() => parseSearch(search)).toThrow(AppError)
  })

  test('do not repeat values', () => {
    expect(() => parseSearch('Observation?date=Marisol')).toThrow(/^(?!.*Marisol)/)
  })

  test('controls are read', () => {
    expect(parseSearch('Observation?_count=5&_sort=-date&_include=Observation:subject&code=x')).toMatchObject(
      { count: 5, sortRules: [{ code: 'date', descending: true }], filters: [{ code: 'code' }] },
    )
  })
})
