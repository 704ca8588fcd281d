import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { native as browser } from './browser.ts'
import type { Native } from './native.ts'
import { native as node } from './node.ts'

/** Runs the property with Node's as the first and the browser's as the second implementation, and swapped. */
const pairs: [string, Native, Native][] = [
  ['node against browser', node, browser],
  ['browser against node', browser, node],
]

const bytes = (options: { minLength?: number; maxLength?: number } = {}) => fc.uint8Array(options)
const exactly = (lengthBytes: number) => fc.uint8Array({ minLength: lengthBytes, maxLength: lengthBytes })
const fast = { numRuns: 60 }
const slow = { numRuns: 8 }

describe('both implementations give the same bytes', () => {
  test('hashes', () => {
    fc.assert(
      fc.property(bytes({ maxLength: 300 }), fc.integer({ min: 1, max: 200 }), (input, lengthBytes) => {
        expect(node.sha256(input)).toEqual(browser.sha256(input))
        expect(node.sha3x256(input)).toEqual(browser.sha3x256(input))
        expect(node.shake256(input, lengthBytes)).toEqual(browser.shake256(input, lengthBytes))
      }),
      fast,
    )
  })

  test('HMAC and HKDF', () => {
    fc.assert(
      fc.property(
        bytes({ maxLength: 200 }),
        bytes({ maxLength: 100 }),
        bytes({ maxLength: 100 }),
        fc.integer({ min: 1, max: 500 }),
        (ikm, salt, info, lengthBytes) => {
          expect(node.hmacSha256(ikm, info)).toEqual(browser.hmacSha256(ikm, info))
          const options = { ikm, salt, info, lengthBytes }
          expect(node.hkdfSha256(options)).toEqual(browser.hkdfSha256(options))
          const prk = node.hmacSha256(salt, ikm)
          expect(node.hkdfExpandSha256(prk, info, lengthBytes)).toEqual(node.hkdfSha256(options))
          expect(browser.hkdfExpandSha256(prk, info, lengthBytes)).toEqual(node.hkdfSha256(options))
        },
      ),
      fast,
    )
  })

  test('every answer is a plain Uint8Array', () => {
    for (const native of [node, browser]) {
      const key = native.ed25519Key(new Uint8Array(32))
      for (const value of [
        native.sha256(new Uint8Array(1)),
        native.hmacSha256(new Uint8Array(1), new Uint8Array(1)),
        native.gcmSeal(gcm(new Uint8Array(32), new Uint8Array(5))),
        key.publicKey,
        key.sign(new Uint8Array(3)),
        native.x25519Key(new Uint8Array(32)).publicKey,
        native.mlkem768Key(new Uint8Array(64)).publicKey,
      ]) {
        expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype)
      }
    }
  })
})

function gcm(key: Uint8Array, plain: Uint8Array) {
  return { key, nonce: new Uint8Array(12).fill(1), aad: new Uint8Array(2), bytes: plain }
}

describe.each(pairs)('%s', (_, ours, theirs) => {
  test('AES-GCM: one seals, the other opens; a changed byte does not open', () => {
    fc.assert(
      fc.property(
        exactly(32),
        exactly(12),
        bytes({ maxLength: 80 }),
        bytes({ maxLength: 300 }),
        fc.nat(),
        (key, nonce, aad, plaintext, at) => {
          const sealed = ours.gcmSeal({ key, nonce, aad, bytes: plaintext })
          expect(theirs.gcmSeal({ key, nonce, aad, bytes: plaintext })).toEqual(sealed)
          expect(theirs.gcmOpen({ key, nonce, aad, bytes: sealed })).toEqual(plaintext)
          const changed = sealed.slice()
          changed[at % changed.length] = (changed[at % changed.length] as number) ^ 1
          expect(theirs.gcmOpen({ key, nonce, aad, bytes: changed })).toBeUndefined()
          expect(theirs.gcmOpen({ key, nonce, aad, bytes: sealed.subarray(0, 15) })).toBeUndefined()
        },
      ),
      fast,
    )
  })

  test('Ed25519: one signs, the other verifies; a changed bit fails in both', () => {
    fc.assert(
      fc.property(exactly(32), bytes({ maxLength: 100 }), fc.nat(511), (seed, message, bit) => {
        const key = ours.ed25519Key(seed)
        expect(theirs.ed25519Key(seed).publicKey).toEqual(key.publicKey)
        const signature = key.sign(message)
        expect(theirs.ed25519Key(seed).sign(message)).toEqual(signature)
        expect(theirs.ed25519Verify(key.publicKey, message, signature)).toBe(true)
        const changed = signature.slice()
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
        expect(ours.ed25519Verify(key.publicKey, message, changed)).toBe(false)
        expect(theirs.ed25519Verify(key.publicKey, message, changed)).toBe(false)
      }),
      slow,
    )
  })

  test('Ed25519: arbitrary bytes as key and signature get the same answer, without throwing', () => {
    fc.assert(
      fc.property(exactly(32), exactly(64), bytes({ maxLength: 20 }), (key, signature, message) => {
        expect(ours.ed25519Verify(key, message, signature)).toBe(
          theirs.ed25519Verify(key, message, signature),
        )
      }),
      slow,
    )
  })

  test('X25519: both ends agree', () => {
    fc.assert(
      fc.property(exactly(32), exactly(32), (a, b) => {
        const left = ours.x25519Key(a)
        const right = theirs.x25519Key(b)
        expect(theirs.x25519Key(a).publicKey).toEqual(left.publicKey)
        const shared = left.agree(right.publicKey)
        expect(shared).toBeDefined()
        expect(right.agree(left.publicKey)).toEqual(shared)
      }),
      slow,
    )
  })

  test('X25519: an all-zero result is refused', () => {
    expect(ours.x25519Key(new Uint8Array(32).fill(5)).agree(new Uint8Array(32))).toBeUndefined()
  })

  test('ML-KEM-768: one encapsulates, the other decapsulates; a wrong ciphertext gives the same other secret', () => {
    fc.assert(
      fc.property(exactly(64), exactly(32), fc.nat(1087), (seed, m, at) => {
        const key = theirs.mlkem768Key(seed)
        expect(ours.mlkem768Key(seed).publicKey).toEqual(key.publicKey)
        for (const made of [
          ours.mlkem768Encapsulate(key.publicKey),
          ours.mlkem768EncapsulateFrom(key.publicKey, m),
        ]) {
          expect(made && key.decapsulate(made.ciphertext)).toEqual(made?.sharedSecret)
          const changed = (made as { ciphertext: Uint8Array }).ciphertext.slice()
          changed[at] = (changed[at] as number) ^ 1
          const rejected = key.decapsulate(changed)
          expect(rejected).not.toEqual(made?.sharedSecret)
          expect(ours.mlkem768Key(seed).decapsulate(changed)).toEqual(rejected)
        }
      }),
      slow,
    )
  })

  test('ML-KEM-768: a public key that fails the modulus check is refused', () => {
    const publicKey = new Uint8Array(1184).fill(0xff)
    expect(ours.mlkem768Encapsulate(publicKey)).toBeUndefined()
    expect(ours.mlkem768EncapsulateFrom(publicKey, new Uint8Array(32))).toBeUndefined()
  })
})
