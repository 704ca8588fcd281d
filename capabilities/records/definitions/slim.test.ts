import { readFileSync } from 'node:fs'
import { parseStructureDefinition } from '@medplum/core'
import type { Bundle, StructureDefinition } from '@medplum/fhirtypes'
import { expect, test } from 'vitest'
import { RESOURCE_TYPES, structureDefinition } from '../src/fhir/definitions.ts'
import { print, readPublished, slim } from './slim.ts'

const MOST_BYTES = 5 * 1024 * 1024

test('the committed definitions are what the script writes', () => {
  const committed = readFileSync(new URL('r4.json', import.meta.url), 'utf8')
  expect(committed.length).toBeLessThan(MOST_BYTES)
  expect(committed === print(slim(readPublished)), 'run node capabilities/records/definitions/slim.ts').toBe(
    true,
  )
})

test('R4 4.0.1 has 146 types that a server stores', () => {
  expect(RESOURCE_TYPES.size).toBe(146)
})

/** What validation reads of a schema; texts and rules of severity warning are left out of the slim form. */
function essence(definition: StructureDefinition): unknown {
  const seen = JSON.stringify(parseStructureDefinition(definition), (key, value: unknown) => {
    if (['description', 'title', 'version', 'url', 'binding', 'slicing', 'profile'].includes(key))
      return undefined
    if (key === 'constraints')
      return (value as { key: string; severity: string }[]).filter(
        (c) => c.severity === 'error' && c.key !== 'ele-1',
      )
    if (value === Number.POSITIVE_INFINITY) return '*'
    return value instanceof Set ? [...value] : value
  })
  return JSON.parse(seen)
}

test('every slim structure means the same as the published one', () => {
  for (const name of ['profiles-types.json', 'profiles-resources.json']) {
    for (const { resource } of (readPublished(name) as Bundle).entry ?? []) {
      if (resource?.resourceType !== 'StructureDefinition') continue
      if (resource.fhirVersion !== '4.0.1' || resource.kind === 'logical') continue
      expect(essence(structureDefinition(resource.name ?? '')), resource.name).toEqual(essence(resource))
    }
  }
})
