import fc from 'fast-check'
import { expect, test } from 'vitest'
import { system } from '../test/system-random.ts'
import { GCM_OVERHEAD_BYTES, gcmOpen, gcmSeal } from './aead.ts'
import { AppError } from './errors.ts'

const key = new Uint8Array(32).fill(1)

test('opens what was sealed; key, AAD and every byte count', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), fc.nat(), (aad, plaintext, at) => {
      const sealed = gcmSeal({ key, aad, plaintext, random: system })
      expect(sealed.length).toBe(plaintext.length + GCM_OVERHEAD_BYTES)
      expect(gcmOpen({ key, aad, sealed })).toEqual(plaintext)
      const changed = sealed.slice()
      changed[at % changed.length] = (changed[at % changed.length] as number) ^ 0x80
      const failed = expect.objectContaining({ code: 'OPEN_FAILED' })
      expect(() => gcmOpen({ key, aad, sealed: changed })).toThrow(failed)
      expect(() => gcmOpen({ key: new Uint8Array(32), aad, sealed })).toThrow(failed)
      expect(() => gcmOpen({ key, aad: new Uint8Array([...aad, 0]), sealed })).toThrow(failed)
    }),
  )
})

test('every failure to open reads the same', () => {
  const aad = new Uint8Array(0)
  const sealed = gcmSeal({ key, aad, plaintext: key, random: system })
  const messages = [
    sealed.subarray(0, 27),
    sealed.subarray(1),
    new Uint8Array(60),
    sealed.subarray(0, -1),
  ].map((bytes) => {
    try {
      gcmOpen({ key, aad, sealed: bytes })
      return undefined
    } catch (error) {
      expect(error).toBeInstanceOf(AppError)
      expect((error as AppError).data).toEqual({})
      expect((error as AppError).cause).toBeUndefined()
      return (error as AppError).message
    }
  })
  expect(new Set(messages).size).toBe(1)
  expect(messages[0]).toContain('does not open')
})

test('a key of another length is refused by name', () => {
  const code = expect.objectContaining({ code: 'KEY' })
  for (const lengthBytes of [0, 16, 31, 33]) {
    const short = new Uint8Array(lengthBytes)
    expect(() => gcmSeal({ key: short, aad: key, plaintext: key, random: system })).toThrow(code)
    expect(() => gcmOpen({ key: short, aad: key, sealed: new Uint8Array(60) })).toThrow(code)
  }
})
