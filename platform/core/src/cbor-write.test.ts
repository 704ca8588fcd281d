import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toHex } from './bytes.ts'
import { type CborValue, encode } from './cbor.ts'

const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    -0,
    23,
    24,
    255,
    256,
    65_535,
    65_536,
    0xffff_ffff,
    0x1_0000_0000,
    Number.MAX_SAFE_INTEGER,
    -1,
    -24,
    -25,
    -256,
    -257,
    Number.MIN_SAFE_INTEGER,
  ),
  fc.bigInt({ min: -(1n << 64n), max: (1n << 64n) - 1n }),
)
const text = fc
  .oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme', maxLength: 300 }))
  .filter((value) => value.isWellFormed() && !value.startsWith('\uFEFF'))
const leaf = fc.oneof(integer, text, fc.uint8Array({ maxLength: 300 }), fc.boolean(), fc.constant(null))
const { value } = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(text, tie('value'), { maxKeys: 30, noNullPrototype: false }),
  ) as fc.Arbitrary<CborValue>,
}))

test('property: the same bytes as the library, which is the definition', () => {
  fc.assert(
    fc.property(value, (any) => {
      expect(toHex(encode(any))).toBe(toHex(dagCbor.encode(any)))
    }),
    { numRuns: 2_000 },
  )
})

test('large values and what comes after them', () => {
  const large = {
    json: new Uint8Array(3_000_000).fill(7),
    text: 'ü'.repeat(70_000),
    list: Array.from({ length: 70_000 }, (_, at) => at),
  }
  expect(toHex(encode(large).subarray(0, 300_000))).toBe(toHex(dagCbor.encode(large).subarray(0, 300_000)))
  expect(encode(large)).toEqual(new Uint8Array(dagCbor.encode(large)))
  expect(toHex(encode([1, 'a']))).toBe('82016161')
})

test('a value that fails half-way leaves nothing behind', () => {
  expect(() => encode(['secret', Number.NaN])).toThrow('safe integer')
  expect(toHex(encode([]))).toBe('80')
})

test('the result is an array of its own', () => {
  const first = encode([1, 2, 3])
  encode([9, 9, 9])
  expect(toHex(first)).toBe('83010203')
  expect(first.buffer.byteLength).toBe(4)
})
