import { describe, expect, test } from 'vitest'
import vectors from '../../../../vectors/compartments.json' with { type: 'json' }
import { type CodeCount, compartmentOf, labelOf } from './compartment.ts'
import table from './compartments.json' with { type: 'json' }
import type { LooseResource } from './types.ts'

describe('vectors', () => {
  test.each(vectors.vectors)('$name → $compartment', ({ resource, compartment }) => {
    expect(compartmentOf(resource as unknown as LooseResource)).toBe(compartment)
  })
})

test('the label names the code that decided', () => {
  const code = { coding: [{ system: 'http://snomed.info/sct', code: '75544000' }] }
  expect(labelOf({ resourceType: 'Condition', code })).toEqual({
    compartment: 'substance',
    because: 'http://snomed.info/sct|75544000',
  })
  expect(labelOf({ resourceType: 'Condition' })).toEqual({ compartment: 'general', because: undefined })
})

test('codes that no set holds are counted by system', () => {
  const unheld: CodeCount = new Map()
  const coding = [
    { system: 'http://snomed.info/sct', code: '38341003' },
    { system: 'http://snomed.info/sct', code: '75544000' },
  ]
  labelOf({ resourceType: 'Condition', code: { coding }, bodySite: [{ coding: [coding[0]] }] }, unheld)
  expect([...unheld].map(([system, codes]) => [system, [...codes]])).toEqual([
    ['http://snomed.info/sct', [['38341003', 2]]],
  ])
})

test('each code has a name and stands in one set only', () => {
  const seen = new Map<string, string>()
  for (const set of table.sets) {
    for (const [system, codes] of Object.entries(set.codes as Record<string, Record<string, string>>)) {
      for (const [code, name] of Object.entries(codes)) {
        expect(name.length, `${system}|${code}`).toBeGreaterThan(2)
        expect(seen.get(`${system}|${code}`), `${system}|${code} stands twice`).toBeUndefined()
        seen.set(`${system}|${code}`, set.compartment)
      }
    }
  }
  expect(seen.size).toBeGreaterThan(250)
})
