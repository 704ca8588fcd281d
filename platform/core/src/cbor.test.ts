import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readVectors } from '../test/vectors.ts'
import { concat, fromHex, toHex } from './bytes.ts'
import { type CborValue, decode, decodeFirst, encode, tuple } from './cbor.ts'
import { isAppError } from './errors.ts'

const vectors = readVectors<{
  accept: { hex: string; value: unknown; depth?: number }[]
  reject: { hex: string; rule: string }[]
}>('cbor.json')

const refused = expect.objectContaining({ code: 'CBOR' })

/** The vectors' JSON form of a value. */
function fromVector(json: unknown): CborValue {
  if (Array.isArray(json)) return json.map(fromVector)
  if (typeof json !== 'object' || json === null) return json as CborValue
  const special = (json as { '/'?: { bytes?: string; int?: string } })['/']
  if (special?.bytes !== undefined) return fromHex(special.bytes)
  if (special?.int !== undefined) return BigInt(special.int)
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, fromVector(value)]))
}

function decodeOrUndefined(bytes: Uint8Array): CborValue | undefined {
  try {
    return decode(bytes)
  } catch (error) {
    if (isAppError(error, 'CBOR')) return undefined
    throw error
  }
}

/** The definition: the library decodes it, encodes it to the same bytes, and meets nothing beyond the data model. */
function acceptedByDefinition(bytes: Uint8Array): boolean {
  try {
    const value: unknown = dagCbor.decode(bytes)
    return inModel(value) && toHex(dagCbor.encode(value)) === toHex(bytes)
  } catch {
    return false
  }
}

function inModel(value: unknown): boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return true
  if (Array.isArray(value)) return value.every(inModel)
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(inModel)
}

const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((value) => !value.startsWith('\uFEFF'))
const { value: anyValue } = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    fc.nat({ max: 300 }),
    fc
      .bigInt({ min: -(1n << 64n), max: (1n << 64n) - 1n })
      .filter((value) => !Number.isSafeInteger(Number(value))),
    text,
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(text, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}))

describe('CBOR vectors', () => {
  it.each(vectors.accept)('accepts $hex', ({ hex, value, depth }) => {
    const bytes = fromHex(hex)
    const decoded = decode(bytes)
    if (depth === undefined) expect(decoded).toEqual(fromVector(value))
    expect(toHex(encode(decoded))).toBe(hex)
  })

  it.each(vectors.reject)('refuses $hex: $rule', ({ hex }) => {
    expect(() => decode(fromHex(hex))).toThrow(refused)
  })
})

describe('decode', () => {
  it('returns what was encoded', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(decode(encode(value))).toEqual(value)
      }),
      { numRuns: 1000 },
    )
  })

  it('takes a changed byte only as a different value in its own one form', () => {
    fc.assert(
      fc.property(anyValue, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, flip) => {
        const bytes = encode(value)
        const changed = bytes.slice()
        changed[at % bytes.length] = (changed[at % bytes.length] as number) ^ flip
        const decoded = decodeOrUndefined(changed)
        if (decoded === undefined) return
        expect(decoded).not.toEqual(value)
        expect(toHex(encode(decoded))).toBe(toHex(changed))
      }),
      { numRuns: 3000 },
    )
  })

  it('accepts exactly what decodes and encodes again to the same bytes', () => {
    const soup = fc.array(
      fc.constantFrom(
        0x00,
        0x01,
        0x17,
        0x18,
        0x19,
        0x20,
        0x38,
        0x40,
        0x41,
        0x58,
        0x60,
        0x61,
        0x62,
        0x78,
        0x80,
        0x81,
        0x82,
        0x98,
        0x9f,
        0xa0,
        0xa1,
        0xa2,
        0xb8,
        0xc3,
        0xbc,
        0xd8,
        0x2a,
        0xef,
        0xbb,
        0xbf,
        0xf4,
        0xf6,
        0xf7,
        0xf9,
        0xfb,
        0xff,
      ),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          soup.map((items) => Uint8Array.from(items)),
          fc.uint8Array({ maxLength: 24 }),
        ),
        (bytes) => {
          expect(decodeOrUndefined(bytes) !== undefined).toBe(acceptedByDefinition(bytes))
        },
      ),
      { numRuns: 20_000 },
    )
    fc.assert(
      fc.property(anyValue, fc.nat(), fc.nat({ max: 255 }), (value, at, byte) => {
        const bytes = encode(value)
        bytes[at % bytes.length] = byte
        expect(decodeOrUndefined(bytes) !== undefined).toBe(acceptedByDefinition(bytes))
      }),
      { numRuns: 5000 },
    )
  })

  it('refuses every proper prefix and any byte behind', () => {
    const bytes = encode({ a: [1, 'two', new Uint8Array(30)], b: null })
    for (let length = 0; length < bytes.length; length++)
      expect(() => decode(bytes.subarray(0, length))).toThrow(refused)
    expect(() => decode(concat(bytes, new Uint8Array(1)))).toThrow(refused)
  })

  it('reads a value inside a larger buffer and keeps no view of it', () => {
    const inner = encode([new Uint8Array([1, 2, 3])])
    const outer = concat(new Uint8Array(5), inner)
    const [value] = decode(outer.subarray(5)) as [Uint8Array]
    outer.fill(9)
    expect(value).toEqual(new Uint8Array([1, 2, 3]))
  })

  it('holds to the limits it is given', () => {
    expect(() => decode(encode('abcdef'), { maxBytes: 6 })).toThrow(refused)
    expect(decode(encode('abcdef'), { maxBytes: 7 })).toBe('abcdef')
    expect(() => decode(encode([[1]]), { maxDepth: 1 })).toThrow(refused)
    expect(decode(encode([[1]]), { maxDepth: 2 })).toEqual([[1]])
  })

  it('survives input made to nest without end', () => {
    expect(() => decode(new Uint8Array(1_000_000).fill(0x81))).toThrow(refused)
  })
})

describe('decodeFirst', () => {
  it('splits concatenated values', () => {
    fc.assert(
      fc.property(anyValue, fc.uint8Array({ maxLength: 10 }), (value, tail) => {
        const [first, rest] = decodeFirst(concat(encode(value), tail))
        expect(first).toEqual(value)
        expect(rest).toEqual(tail)
      }),
    )
  })
})

describe('encode', () => {
  it('does not depend on the order in which members were set', () => {
    fc.assert(
      fc.property(fc.dictionary(text, fc.nat(), { noNullPrototype: true }), (members) => {
        const reversed = Object.fromEntries(Object.entries(members).reverse())
        expect(toHex(encode(reversed))).toBe(toHex(encode(members)))
      }),
    )
  })

  it.each([
    ['a fraction', 1.5],
    ['not a number', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['an unsafe integer', 2 ** 53],
    ['too large an integer', 1n << 64n],
    ['too small an integer', -(1n << 64n) - 1n],
    ['undefined', undefined],
    ['an undefined member', { a: undefined }],
    ['a hole', new Array(1)],
    ['a lone surrogate', 'a\uDC00'],
    ['a key with a lone surrogate', { '\uD800': 1 }],
    ['text that begins with U+FEFF', '\uFEFFa'],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['a function', () => 1],
    ['a symbol', Symbol('a')],
    ['a view that is not bytes', new Uint16Array(1)],
    ['a buffer', new ArrayBuffer(1)],
  ])('refuses %s', (_, value) => {
    expect(() => encode(value as CborValue)).toThrow(refused)
    expect(() => encode([value] as CborValue)).toThrow(refused)
  })

  it('refuses a value that contains itself', () => {
    const loop: unknown[] = []
    loop.push(loop)
    expect(() => encode(loop as CborValue)).toThrow(refused)
  })

  it('hands out bytes of its own', () => {
    const bytes = encode([1, 2, 3])
    expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
    expect(bytes.buffer.byteLength).toBe(bytes.length)
  })

  it('tuple is the list of its parts', () => {
    expect(tuple('a', 1, new Uint8Array([2]))).toEqual(encode(['a', 1, new Uint8Array([2])]))
    expect(toHex(tuple())).toBe('80')
  })
})
