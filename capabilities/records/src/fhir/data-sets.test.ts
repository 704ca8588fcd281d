import { describe, expect, test } from 'vitest'
import {
  DATA_SETS,
  describeWithData,
  readAll,
  resourcesIn,
  SHIPPED,
  sourceFiles,
} from '../../test/sample-data.ts'
import { compartmentOf } from './compartment.ts'
import { storedText } from './json.ts'
import { ownerOf } from './owner.ts'
import { validate } from './validate.ts'

/** Counted beside our reader, from the raw JSON: entries with a resource, lines with a type, files that stay whole. */
function countRaw(folder: URL): number {
  let count = 0
  for (const { name, text } of sourceFiles(folder)) {
    if (name.endsWith('.ndjson')) {
      count += text.split('\n').filter((line) => line.includes('"resourceType"')).length
      continue
    }
    const {
      resourceType,
      type,
      entry = [],
    } = JSON.parse(text) as { resourceType: string; type?: string; entry?: { resource?: unknown }[] }
    const isTakenApart =
      resourceType === 'Bundle' && /^(transaction|batch|collection|searchset)$/.test(type ?? '')
    count += isTakenApart ? entry.filter((e) => e.resource).length : 1
  }
  return count
}

// Counts of found, of those refused while reading, and of those that validation refuses.
const EXPECTED = {
  'synthea-2019': [16_790, 0, 0],
  'synthea-2020': [5_298, 0, 0],
  'bulk-10': [7_160, 0, 0],
  'hl7-r4-examples': [2_999, 1, 3],
} as const

for (const name of Object.keys(EXPECTED) as (keyof typeof EXPECTED)[]) {
  describeWithData(name, (folder) => {
    test('every resource is found once and arrives or is rejected by name', { timeout: 60_000 }, () => {
      const all = readAll(sourceFiles(folder))
      const [found, rejected, invalid] = EXPECTED[name]
      expect(all.length).toBe(countRaw(folder))
      expect(all.length).toBe(found)
      expect(all.filter((item) => item.kind === 'rejection').length).toBe(rejected)
      expect(
        all.filter((item) => item.kind === 'resource' && validate(item.resource).length > 0).length,
      ).toBe(invalid)
    })
  })
}

describeWithData('synthea-2020', (folder) => {
  test('stored text says what the file said', () => {
    const [file] = sourceFiles(folder)
    if (!file) throw new Error('no file')
    const raw = (JSON.parse(file.text) as { entry: { resource: unknown }[] }).entry
    const stored = readAll([file]).map((item) =>
      item.kind === 'resource' ? storedText(item.exact, { id: item.id }) : '',
    )
    for (const [index, text] of stored.entries()) {
      const before = JSON.stringify(raw[index]?.resource).replaceAll(/"urn:uuid:[^"]*"/g, '"ref"')
      expect(
        JSON.stringify(JSON.parse(text)).replaceAll(/"reference":"[^"#][^"]*"/g, '"reference":"ref"'),
      ).toBe(before)
    }
  })
})

describe('shipped samples', () => {
  const resources = resourcesIn(SHIPPED)

  test('all are valid, none leads nowhere, each has one owner or is of the directory', () => {
    expect(resources.length).toBeGreaterThan(600)
    for (const { resource } of resources) {
      expect(validate(resource)).toEqual([])
      expect(ownerOf(resource).kind).not.toBe('organisation')
    }
  })

  test('every compartment is there, all of them in one record', () => {
    const byOwner = new Map<string, Set<string>>()
    for (const { resource } of resources) {
      const owner = ownerOf(resource)
      const name = owner.kind === 'patient' ? owner.name : ''
      byOwner.set(name, (byOwner.get(name) ?? new Set()).add(compartmentOf(resource)))
    }
    expect(Math.max(...[...byOwner.values()].map((labels) => labels.size))).toBe(11)
    expect([...byOwner.keys()].filter(Boolean).length).toBe(7)
  })
})

test('the four data sets are named', () => {
  expect(Object.keys(DATA_SETS)).toEqual(Object.keys(EXPECTED))
})
