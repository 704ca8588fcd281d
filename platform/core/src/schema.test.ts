import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { type CborValue, decode, encode } from './cbor.ts'
import { isAppError } from './errors.ts'
import {
  bool,
  bytes,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  type Schema,
  text,
  uint,
  variant,
} from './schema.ts'
import { accepts, check } from './schema-check.ts'
import { describe as describeFields, jsonSchema } from './schema-describe.ts'
import { fromJson, toJson } from './schema-json.ts'

const grant = object('A grant', {
  g: bytes('Grant id', { length: 16 }),
  na: uint('End'),
  purpose: oneOf('Why', ['treatment', 'research']),
  note: optional(text('Free text', { max: 5 })),
  units: list(object('A unit', { name: text('Its name', { min: 1, max: 8 }), open: bool('Open') }), {
    max: 2,
  }),
  tags: optional(list(text('A tag', { max: 3 }), { doc: 'Tags', max: 3 })),
  change: variant('What changes', 'kind', {
    add: { org: text('Organisation', { max: 9 }) },
    drop: { n: uint('How many', { max: 4 }), why: optional(text('Reason', { max: 3 })) },
  }),
})
const good: Infer<typeof grant> = {
  g: new Uint8Array(16),
  na: 5,
  purpose: 'treatment',
  units: [{ name: 'ward', open: true }],
  change: { kind: 'drop', n: 4 },
}

function failure(run: () => unknown): { path: unknown; message: string } {
  try {
    run()
  } catch (error) {
    if (isAppError(error, 'SCHEMA')) return { path: error.data['path'], message: error.message }
    throw error
  }
  throw new Error('was accepted')
}

describe('check', () => {
  it('returns the value, typed', () => {
    const value = check(grant, good)
    expect(value).toEqual(good)
    expectTypeOf(value.g).toEqualTypeOf<Uint8Array>()
    expectTypeOf(value.purpose).toEqualTypeOf<'treatment' | 'research'>()
    expectTypeOf(value.note).toEqualTypeOf<string | undefined>()
    expectTypeOf(value.units).toEqualTypeOf<{ name: string; open: boolean }[]>()
    if (value.change.kind === 'add') expectTypeOf(value.change.org).toEqualTypeOf<string>()
    else expectTypeOf(value.change.n).toEqualTypeOf<number>()
  })

  it.each<[string, unknown]>([
    ['g', { ...good, g: new Uint8Array(15) }],
    ['g', { ...good, g: 'AAAA' }],
    ['g', { ...good, g: [0] }],
    ['na', { ...good, na: -1 }],
    ['na', { ...good, na: 1.5 }],
    ['na', { ...good, na: 2 ** 53 }],
    ['na', { ...good, na: 5n }],
    ['na', { ...good, na: '5' }],
    ['na', { ...good, na: null }],
    ['purpose', { ...good, purpose: 'other' }],
    ['note', { ...good, note: '123456' }],
    ['note', { ...good, note: undefined }],
    ['note', { ...good, note: null }],
    ['note', { ...good, note: '\uD800' }],
    ['note', { ...good, note: '\uFEFF' }],
    ['units', { ...good, units: [0, 1, 2].map(() => ({ name: 'a', open: true })) }],
    ['units.0.name', { ...good, units: [{ name: '', open: true }] }],
    [
      'units.1.open',
      {
        ...good,
        units: [
          { name: 'a', open: true },
          { name: 'a', open: 1 },
        ],
      },
    ],
    ['units.0', { ...good, units: [null] }],
    ['units', { ...good, units: { length: 0 } }],
    ['change.kind', { ...good, change: { kind: 'other' } }],
    ['change.n', { ...good, change: { kind: 'drop', n: 5 } }],
    ['change', { ...good, change: { kind: 'add', org: 'a', n: 1 } }],
    ['change', { ...good, change: 'add' }],
    ['', { ...good, more: 1 }],
    ['', JSON.parse('{"__proto__":{}}') as unknown],
    ['', []],
    ['', null],
    ['', new Map()],
  ])('names %j', (path, value) => {
    const found = failure(() => check(grant, value))
    if (path !== '') expect(found.path).toBe(path)
    expect(accepts(grant, value)).toBe(false)
  })

  it('never repeats what it was given', () => {
    const secret = 'Jane Doe'
    for (const value of [
      { ...good, [secret]: 1 },
      { ...good, purpose: secret },
      { ...good, note: secret },
      secret,
    ])
      expect(failure(() => check(grant, value)).message).not.toContain('Jane')
  })

  it('counts code points, as JSON Schema does', () => {
    const two = text('', { min: 2, max: 2 })
    expect(accepts(two, '🏥🏥')).toBe(true)
    expect(accepts(two, '🏥')).toBe(false)
    expect(accepts(two, 'abc')).toBe(false)
  })

  it('is fast enough for every body of a block', () => {
    const started = process.hrtime.bigint()
    for (let i = 0; i < 20_000; i++) check(grant, good)
    expect(Number(process.hrtime.bigint() - started) / 1e9).toBeLessThan(2)
  })
})

// Schemas made at random, each with an arbitrary of the values it must accept.
interface Case {
  readonly schema: Schema
  readonly values: fc.Arbitrary<unknown>
}
const plain = fc.string({ unit: fc.constantFrom('a', 'é', '🏥', ' '), maxLength: 4 })
const scalarCase: fc.Arbitrary<Case> = fc.constantFrom<Case>(
  { schema: text('t', { max: 4 }), values: plain },
  { schema: bytes('b', { max: 5 }), values: fc.uint8Array({ maxLength: 5 }) },
  { schema: bytes('b', { length: 3 }), values: fc.uint8Array({ minLength: 3, maxLength: 3 }) },
  { schema: uint('u', { max: 9 }), values: fc.nat({ max: 9 }) },
  { schema: uint('u'), values: fc.maxSafeNat() },
  { schema: bool('b'), values: fc.boolean() },
  { schema: oneOf('o', ['x', 'y']), values: fc.constantFrom('x', 'y') },
)
const { anyCase } = fc.letrec<{ anyCase: Case }>((tie) => ({
  anyCase: fc.oneof(
    { maxDepth: 3 },
    scalarCase,
    tie('anyCase').map(({ schema, values }) => ({
      schema: list(schema, { max: 3 }),
      values: fc.array(values, { maxLength: 3 }),
    })),
    fc.array(fc.tuple(tie('anyCase'), fc.boolean()), { maxLength: 3 }).map((members) => ({
      schema: object(
        'o',
        Object.fromEntries(
          members.map(([{ schema }, needed], i) => [`m${i}`, needed ? schema : optional(schema)]),
        ),
      ),
      values: fc.record(Object.fromEntries(members.map(([{ values }], i) => [`m${i}`, values])), {
        requiredKeys: members.flatMap(([, needed], i) => (needed ? [`m${i}`] : [])),
        noNullPrototype: true,
      }),
    })),
    tie('anyCase').map(({ schema, values }) => ({
      schema: variant('v', 'kind', { one: { value: schema }, two: {} }),
      values: fc.oneof(
        fc.record({ kind: fc.constant('one'), value: values }, { noNullPrototype: true }),
        fc.constant({ kind: 'two' }),
      ),
    })),
  ),
}))

describe('every schema', () => {
  const schemaAndValue = anyCase.chain(({ schema, values }) => values.map((value) => ({ schema, value })))

  it('accepts its values, also after CBOR and after JSON', () => {
    fc.assert(
      fc.property(schemaAndValue, ({ schema, value }) => {
        expect(check(schema, value)).toEqual(value)
        expect(check(schema, decode(encode(value as CborValue)))).toEqual(value)
        const json: unknown = JSON.parse(JSON.stringify(toJson(schema, value as never)))
        expect(fromJson(schema, json)).toEqual(value)
      }),
      { numRuns: 500 },
    )
  })

  it('accepts nothing that CBOR could not hold', () => {
    fc.assert(
      fc.property(
        anyCase,
        fc.anything({ withBigInt: true, withDate: true, withMap: true }),
        ({ schema }, value) => {
          if (accepts(schema, value)) expect(() => encode(check(schema, value) as CborValue)).not.toThrow()
          else expect(failure(() => check(schema, value)).message).toBeTruthy()
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('describes itself', () => {
    fc.assert(
      fc.property(anyCase, ({ schema }) => {
        expect(JSON.parse(JSON.stringify(jsonSchema(schema)))).toEqual(jsonSchema(schema))
        for (const field of describeFields(schema)) expect(field.list).toBe(field.maxItems !== undefined)
      }),
    )
  })
})

describe('JSON', () => {
  it('carries bytes as base64url', () => {
    expect(toJson(bytes('', { max: 4 }), new Uint8Array([0xfb, 0xff]))).toBe('-_8')
    expect(fromJson(bytes('', { max: 4 }), '-_8')).toEqual(new Uint8Array([0xfb, 0xff]))
  })

  it.each<[string, unknown]>([
    ['g', { ...good, g: '+/8' }],
    ['g', { ...good, g: 'AAAA' }],
    ['g', { ...good, g: 'A'.repeat(1_000_000) }],
    ['g', { ...good, g: 5 }],
    ['units.0', { ...good, g: 'A'.repeat(22), units: [5] }],
    ['change', { ...good, g: 'A'.repeat(22), change: null }],
    ['change.kind', { ...good, g: 'A'.repeat(22), change: { kind: 'toString' } }],
  ])('names %j', (path, json) => {
    expect(failure(() => fromJson(grant, json)).path).toBe(path)
  })
})

describe('introspection', () => {
  it('gives JSON Schema with every limit and no unknown members', () => {
    expect(jsonSchema(grant)).toMatchObject({
      type: 'object',
      description: 'A grant',
      additionalProperties: false,
      required: ['g', 'na', 'purpose', 'units', 'change'],
      properties: {
        g: { type: 'string', contentEncoding: 'base64url', minLength: 22, maxLength: 22 },
        na: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
        purpose: { enum: ['treatment', 'research'] },
        note: { type: 'string', maxLength: 5 },
        units: { type: 'array', maxItems: 2, items: { type: 'object', additionalProperties: false } },
        change: {
          oneOf: [{ properties: { kind: { const: 'add' } } }, { properties: { kind: { const: 'drop' } } }],
        },
      },
    })
  })

  it('gives one flag per value, nested ones by path', () => {
    const nested = object('', { a: optional(object('', { b: uint('B'), c: list(uint('C'), { max: 2 }) })) })
    expect(describeFields(nested)).toEqual([
      {
        name: 'a.b',
        doc: 'B',
        kind: 'uint',
        required: false,
        list: false,
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
      },
      {
        name: 'a.c',
        doc: 'C',
        kind: 'uint',
        required: false,
        list: true,
        maxItems: 2,
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
      },
    ])
    expect(describeFields(grant).map(({ name, kind, list: many }) => [name, kind, many])).toEqual([
      ['g', 'bytes', false],
      ['na', 'uint', false],
      ['purpose', 'oneOf', false],
      ['note', 'text', false],
      ['units', 'json', false],
      ['tags', 'text', true],
      ['change', 'json', false],
    ])
  })

  it('refuses limits that are none', () => {
    expect(() => text('', { max: -1 })).toThrow()
    expect(() => bytes('', { max: 0.5 })).toThrow()
    expect(() => list(bool(''), { min: 2, max: 1 })).toThrow()
    expect(() => oneOf('', [])).toThrow()
    expect(() => variant('', 'kind', { a: { kind: bool('') } })).toThrow()
  })
})
