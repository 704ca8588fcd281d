import { toHex } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import vectors from '../../../vectors/view.json' with { type: 'json' }
import { type JsonText, needsView, type ViewRules, viewHashOf, viewOf } from './view.ts'

const exact = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown
  rawJSON(text: string): unknown
}
/** Numbers as they came, the way the records capability reads and writes. */
const json: JsonText = {
  parse: (text) =>
    exact.parse(text, (_key, value, { source }) =>
      typeof value === 'number' && source !== undefined ? exact.rawJSON(source) : value,
    ),
  serialise: (tree) => JSON.stringify(tree),
}

const open: ViewRules = { masks: [], isReleased: () => true, isRequired: () => false }

describe('vectors/view.json', () => {
  test.each(vectors.cases)(
    '$name',
    ({ stored, masks, released, required, view, changed, needsView: needs, hash }) => {
      const rules: ViewRules = {
        masks,
        isReleased: (reference) => released.includes(reference),
        isRequired: (path) => required.includes(path),
      }
      const found = viewOf(stored, rules, json)
      expect(found.text).toBe(view)
      expect(found.changed).toBe(changed)
      expect(needsView(stored, rules, json)).toBe(needs)
      expect(toHex(viewHashOf(found.text))).toBe(hash)
      // A view of a view is the same view: nothing is left to cut.
      expect(viewOf(found.text, rules, json).text).toBe(view)
    },
  )
})

describe('attack: cross-patient reference', () => {
  const mother = 'Patient/mother'
  const released = new Set(['Patient/newborn', 'Encounter/hers'])
  const rules: ViewRules = { ...open, isReleased: (reference) => released.has(reference) }
  const secret = 'SECRET'
  const cases: [string, object][] = [
    [
      'newborn',
      { resourceType: 'Patient', id: 'newborn', link: [{ other: { reference: mother, display: secret } }] },
    ],
    [
      'Group',
      {
        resourceType: 'Group',
        id: 'g',
        member: [{ entity: { reference: mother, type: 'Patient', display: secret } }],
      },
    ],
    [
      'List',
      {
        resourceType: 'List',
        id: 'l',
        entry: [{ item: { reference: 'Condition/hiv/_history/3', display: secret } }],
      },
    ],
    [
      'Provenance',
      { resourceType: 'Provenance', id: 'p', target: [{ reference: mother, identifier: { value: secret } }] },
    ],
    [
      'extension',
      {
        resourceType: 'Observation',
        id: 'o',
        extension: [{ url: 'http://x', valueReference: { reference: mother, display: secret } }],
      },
    ],
    [
      'contained',
      {
        resourceType: 'Observation',
        id: 'o',
        contained: [
          { resourceType: 'RelatedPerson', id: 'r', patient: { reference: mother, display: secret } },
        ],
      },
    ],
    [
      'logical',
      {
        resourceType: 'Observation',
        id: 'o',
        focus: [{ type: 'Condition', identifier: { value: secret }, display: secret }],
      },
    ],
    [
      'absolute',
      {
        resourceType: 'Observation',
        id: 'o',
        focus: [{ reference: `https://a.example/fhir/Patient/${secret}` }],
      },
    ],
    [
      'conditional',
      { resourceType: 'Observation', id: 'o', focus: [{ reference: `Patient?name=${secret}` }] },
    ],
    [
      'primitive sibling',
      {
        resourceType: 'Observation',
        id: 'o',
        focus: [{ reference: mother, _display: { extension: [{ valueString: secret }] } }],
      },
    ],
    [
      'attachment',
      {
        resourceType: 'DocumentReference',
        id: 'd',
        content: [{ attachment: { url: 'Binary/b', title: secret } }],
      },
    ],
    [
      'narrative',
      {
        resourceType: 'Observation',
        id: 'o',
        text: { status: 'generated', div: `<div>${secret}</div>` },
        focus: [{ reference: mother }],
      },
    ],
  ]
  test.each(cases)('%s tells nothing beyond the bare reference', (_name, resource) => {
    const { text, changed } = viewOf(JSON.stringify(resource), rules, json)
    expect(changed).toBe(true)
    expect(text).not.toContain(secret)
    expect(text).not.toContain('_history')
  })
  test('a bare reference may go out under the data key; a released one keeps its words', () => {
    const bare = { resourceType: 'Observation', id: 'o', focus: [{ reference: mother }] }
    expect(needsView(JSON.stringify(bare), rules, json)).toBe(false)
    const hers = {
      resourceType: 'Observation',
      id: 'o',
      encounter: { reference: 'Encounter/hers', display: 'Visit' },
    }
    expect(needsView(JSON.stringify(hers), rules, json)).toBe(false)
  })
})

const anyJson = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('x', 'Patient/1', 'Patient/2', true, null),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom('code', 'reference', 'display', 'note', 'text', '_note', 'url'),
      tie('value'),
      {
        maxKeys: 4,
      },
    ),
  ),
})).value

test('property: with nothing masked and all released, the bytes stay', () => {
  fc.assert(
    fc.property(anyJson, (body) => {
      const text = json.serialise({ resourceType: 'Observation', id: 'o', body })
      expect(viewOf(text, open, json)).toEqual({ text, changed: false })
    }),
  )
})

test('property: no masked element and no word beside a withheld reference survives, whatever the shape', () => {
  const rules: ViewRules = {
    masks: ['Observation.body.note'],
    isReleased: (r) => r === 'Patient/1',
    isRequired: () => false,
  }
  fc.assert(
    fc.property(anyJson, (body) => {
      const { text } = viewOf(json.serialise({ resourceType: 'Observation', id: 'o', body }), rules, json)
      const tree = JSON.parse(text) as { body?: unknown }
      const bodies = Array.isArray(tree.body) ? tree.body : [tree.body]
      for (const node of bodies) {
        if (typeof node === 'object' && node !== null && !Array.isArray(node))
          expect(node).not.toHaveProperty('note')
      }
      expectBare(tree)
    }),
  )
})

function expectBare(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  const node = value as { reference?: unknown }
  if (node.reference === 'Patient/2') expect(Object.keys(node)).toEqual(['reference'])
  for (const inner of Object.values(value)) expectBare(inner)
}
