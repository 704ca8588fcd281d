import fc from 'fast-check'
import { expect, test } from 'vitest'
import vectors from '../../../vectors/object.json' with { type: 'json' }
import { concat, fromHex, toHex, utf8 } from './bytes.ts'
import { encode } from './cbor.ts'
import { sha256 } from './hash.ts'
import { decodeVersion, encodeVersion, padmeLength } from './version.ts'

const malformed = expect.objectContaining({ code: 'VERSION' })

test('vectors', () => {
  const { recordId, version, prev, json, padded, digest } = vectors.version
  const value = { recordId, version, prev: fromHex(prev), json: utf8(json) }
  expect(toHex(encodeVersion(value))).toBe(padded)
  expect(decodeVersion(fromHex(padded))).toEqual(value)
  expect(toHex(sha256(value.json))).toBe(digest)
  for (const { lengthBytes, paddedBytes } of vectors.padme) expect(padmeLength(lengthBytes)).toBe(paddedBytes)
})

test('Padmé: never shorter, at most 12 % longer, stable, and monotonic', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 2 ** 30 }), (lengthBytes) => {
      const padded = padmeLength(lengthBytes)
      expect(padded).toBeGreaterThanOrEqual(lengthBytes)
      expect(padded).toBeLessThanOrEqual(lengthBytes * 1.12)
      expect(padmeLength(padded)).toBe(padded)
      expect(padmeLength(lengthBytes + 1)).toBeGreaterThanOrEqual(padded)
    }),
  )
})

test('Padmé as its paper states it, in bit masks', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 2 ** 28 }), (lengthBytes) => {
      const e = Math.floor(Math.log2(lengthBytes))
      const s = Math.floor(Math.log2(e)) + 1
      const mask = e < s ? 0 : 2 ** (e - s) - 1
      expect(padmeLength(lengthBytes)).toBe((lengthBytes + mask) & ~mask)
    }),
  )
})

test('lengths that are none are refused', () => {
  for (const lengthBytes of [-1, 1.5, 2 ** 31, Number.NaN]) {
    expect(() => padmeLength(lengthBytes)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
  }
})

test('a version comes back as it was, and its length says only the size class', () => {
  fc.assert(
    fc.property(
      fc.record({
        recordId: fc
          .string({ minLength: 1, maxLength: 64, unit: 'grapheme' })
          .filter((t) => t[0] !== '\ufeff'),
        version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        prev: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 })),
        json: fc.uint8Array({ maxLength: 2000 }),
      }),
      (version) => {
        const bytes = encodeVersion(version)
        expect(decodeVersion(bytes)).toEqual(version)
        expect(padmeLength(bytes.length)).toBe(bytes.length)
        expect(() => decodeVersion(concat(bytes, Uint8Array.of(0)))).toThrow(malformed)
      },
    ),
  )
})

test('padding that is not zero, or cut short, is refused', () => {
  const bytes = encodeVersion({ recordId: 'a', version: 1, prev: null, json: new Uint8Array(500) })
  const last = bytes.length - 1
  expect(bytes[last]).toBe(0)
  const changed = bytes.slice()
  changed[last] = 1
  expect(() => decodeVersion(changed)).toThrow(malformed)
  expect(() => decodeVersion(bytes.subarray(0, last))).toThrow(malformed)
})

test('values that are no version are refused', () => {
  const good = { recordId: 'a', version: 1, prev: null, json: new Uint8Array(3) }
  const padded = (value: unknown) => {
    const bytes = encode(value as never)
    return concat(bytes, new Uint8Array(padmeLength(bytes.length) - bytes.length))
  }
  expect(decodeVersion(padded(good))).toEqual(good)
  for (const change of [
    { recordId: '' },
    { recordId: 'a'.repeat(257) },
    { version: 0 },
    { version: '1' },
    { prev: new Uint8Array(31) },
    { json: '{}' },
    { more: 1 },
  ]) {
    expect(() => decodeVersion(padded({ ...good, ...change }))).toThrow(malformed)
  }
  expect(() => decodeVersion(padded([1]))).toThrow(malformed)
  expect(() => encodeVersion({ ...good, recordId: '' })).toThrow(malformed)
})
