import fc from 'fast-check'
import { expect, test } from 'vitest'
import { keyCache } from './key-cache.ts'

function counting() {
  let parsed = 0
  const lookUp = keyCache((key: Uint8Array) => {
    parsed += 1
    if (key[0] === 0xff) throw new Error('malformed')
    return key.join()
  })
  return { lookUp, parsed: () => parsed }
}

/** Keys that share a slot differ outside bytes 8 and 9. */
function keyOf(n: number, slot = 0): Uint8Array {
  const key = new Uint8Array(32)
  key[0] = n
  key[9] = slot
  return key
}

test('a key is parsed twice and then kept', () => {
  const { lookUp, parsed } = counting()
  for (let i = 0; i < 10; i++) expect(lookUp(keyOf(1))).toBe(keyOf(1).join())
  expect(parsed()).toBe(2)
})

test('keys seen once do not push out a key in use', () => {
  const { lookUp, parsed } = counting()
  for (let i = 0; i < 2; i++) lookUp(keyOf(1))
  for (let stranger = 2; stranger < 50; stranger++) {
    lookUp(keyOf(stranger))
    lookUp(keyOf(1))
  }
  expect(parsed()).toBe(2 + 48)
})

test('a malformed key throws every time and is not kept', () => {
  const { lookUp } = counting()
  for (let i = 0; i < 3; i++) expect(() => lookUp(keyOf(0xff))).toThrow('malformed')
})

test('any order of look-ups gives each key its own value', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(2)), { maxLength: 60 }), (order) => {
      const { lookUp } = counting()
      for (const [n, slot] of order) expect(lookUp(keyOf(n, slot))).toBe(keyOf(n, slot).join())
    }),
  )
})

test('the caller may reuse its buffer', () => {
  const { lookUp } = counting()
  const buffer = keyOf(1)
  for (let i = 0; i < 3; i++) lookUp(buffer)
  buffer[0] = 2
  expect(lookUp(buffer)).toBe(keyOf(2).join())
})
