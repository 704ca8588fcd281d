import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareBytes,
  concat,
  equal,
  fromBase64,
  fromBase64url,
  fromHex,
  fromUtf8,
  toBase64,
  toBase64url,
  toHex,
  utf8,
} from './bytes.ts'

const anyBytes = fc.uint8Array({ maxLength: 80 })

describe('text forms of bytes', () => {
  it('hex goes there and back and agrees with the platform', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'))
        expect(fromHex(toHex(bytes))).toEqual(bytes)
        expect(fromHex(toHex(bytes).toUpperCase())).toEqual(bytes)
      }),
    )
  })

  it('base64 and base64url go there and back and agree with the platform', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
        expect(toBase64url(bytes)).toBe(Buffer.from(bytes).toString('base64url'))
        expect(fromBase64(toBase64(bytes))).toEqual(bytes)
        expect(fromBase64url(toBase64url(bytes))).toEqual(bytes)
      }),
    )
  })

  it('every text is either refused or the only text of its bytes', () => {
    const text = fc.string({ unit: fc.constantFrom(...'AZaz09+/-_=\n é'), maxLength: 12 })
    const onlyForm = (read: (text: string) => Uint8Array, write: (bytes: Uint8Array) => string) =>
      fc.assert(
        fc.property(text, (input) => {
          let bytes: Uint8Array
          try {
            bytes = read(input)
          } catch (error) {
            expect(error).toMatchObject({ code: 'ENCODING' })
            return
          }
          expect(write(bytes)).toBe(input)
        }),
        { numRuns: 2000 },
      )
    onlyForm(fromBase64, toBase64)
    onlyForm(fromBase64url, toBase64url)
  })

  it.each(['0', 'zz', '0g', 'é0', '0:'])('refuses %j as hex', (text) => {
    expect(() => fromHex(text)).toThrow(expect.objectContaining({ code: 'ENCODING' }))
  })

  it.each(['QQ', 'QQ=', 'QQ===', 'QR==', 'QUI', 'QUJ=', 'Q===', '=', 'QQ==QQ=='])(
    'refuses %j as base64',
    (text) => {
      expect(() => fromBase64(text)).toThrow(expect.objectContaining({ code: 'ENCODING' }))
    },
  )

  it.each(['Q', 'QR', 'QQ==', 'QUJ', 'Q+8', 'QQ\n'])('refuses %j as base64url', (text) => {
    expect(() => fromBase64url(text)).toThrow(expect.objectContaining({ code: 'ENCODING' }))
  })
})

describe('UTF-8', () => {
  it('goes there and back, a byte order mark included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.boolean(), (text, mark) => {
        const input = mark ? `\uFEFF${text}` : text
        expect(fromUtf8(utf8(input))).toBe(input)
      }),
    )
  })

  it('refuses lone surrogates and malformed bytes', () => {
    expect(() => utf8('a\uD800')).toThrow(expect.objectContaining({ code: 'ENCODING' }))
    expect(() => fromUtf8(new Uint8Array([0xc3, 0x28]))).toThrow(
      expect.objectContaining({ code: 'ENCODING' }),
    )
  })
})

describe('comparison', () => {
  it('equal and compareBytes agree with the order of hexadecimal text', () => {
    const short = fc.uint8Array({ maxLength: 4, max: 3 })
    fc.assert(
      fc.property(short, short, (a, b) => {
        const [x, y] = [toHex(a), toHex(b)]
        expect(equal(a, b)).toBe(x === y)
        expect(compareBytes(a, b)).toBe(x < y ? -1 : x > y ? 1 : 0)
      }),
      { numRuns: 1000 },
    )
  })

  it('concat copies its parts', () => {
    const part = new Uint8Array([1, 2])
    const joined = concat(part, new Uint8Array(0), part)
    part[0] = 9
    expect(joined).toEqual(new Uint8Array([1, 2, 1, 2]))
  })
})
