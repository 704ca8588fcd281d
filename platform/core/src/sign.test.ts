import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import acceptance from '../../../vectors/ed25519-acceptance.json' with { type: 'json' }
import vectors from '../../../vectors/signed-message.json' with { type: 'json' }
import { concat, fromHex, toHex, utf8 } from './bytes.ts'
import { sha256 } from './hash.ts'
import { native as browser } from './native/browser.ts'
import {
  checkSignatureAcceptance,
  ed25519Verify,
  type SignatureType,
  signAs,
  signedMessage,
  signingKey,
  txIdOf,
  verifyAs,
  verifyAuth,
} from './sign.ts'

const chainId = sha256(utf8('a chain'))
const key = signingKey(new Uint8Array(32).fill(3))
const types: SignatureType[] = [
  'tx',
  'bundle',
  'terms-link',
  'accept',
  'request',
  'reply',
  'card',
  'receipt',
  'mandate',
  'keyring',
  'statement',
]

describe('signed message', () => {
  test('vectors', () => {
    for (const v of vectors.cases) {
      const signer = signingKey(fromHex(v.seed))
      const bytes = fromHex(v.bytes)
      const type = v.type as SignatureType
      expect(toHex(signer.publicKey)).toBe(v.publicKey)
      expect(toHex(signedMessage(type, fromHex(v.chainId), bytes))).toBe(v.message)
      expect(toHex(signAs(signer, type, fromHex(v.chainId), bytes))).toBe(v.signature)
      if (type === 'tx') expect(toHex(txIdOf(fromHex(v.chainId), bytes))).toBe(v.txId)
    }
    expect(vectors.cases.map((v) => v.type).sort()).toEqual([...types].sort())
  })

  test('a signature for one type, chain or content is none for another', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...types),
        fc.constantFrom(...types),
        fc.uint8Array(),
        (made, read, bytes) => {
          const signature = signAs(key, made, chainId, bytes)
          expect(verifyAs(key.publicKey, read, chainId, bytes, signature)).toBe(made === read)
          expect(verifyAs(key.publicKey, made, sha256(chainId), bytes, signature)).toBe(false)
          expect(verifyAs(key.publicKey, made, chainId, concat(bytes, Uint8Array.of(0)), signature)).toBe(
            false,
          )
        },
      ),
      { numRuns: 50 },
    )
  })

  test('a chain id or seed of another length is refused by name', () => {
    expect(() => signedMessage('tx', new Uint8Array(31), chainId)).toThrow(/chainId: must be/)
    expect(() => signingKey(new Uint8Array(31))).toThrow(/seed: must be/)
  })

  test('keys and signatures of another length are false, not errors', () => {
    const signature = signAs(key, 'tx', chainId, chainId)
    for (const lengthBytes of [0, 31, 33, 64]) {
      expect(verifyAs(new Uint8Array(lengthBytes), 'tx', chainId, chainId, signature)).toBe(false)
    }
    expect(verifyAs(key.publicKey, 'tx', chainId, chainId, signature.subarray(0, 63))).toBe(false)
    expect(verifyAuth(key.publicKey, 'tx', chainId, chainId, signature)).toBe(true)
    expect(verifyAuth(concat(Uint8Array.of(2), key.publicKey), 'tx', chainId, chainId, signature)).toBe(false)
  })
})

describe('Ed25519 acceptance', () => {
  test('this runtime follows the rule', () => {
    expect(checkSignatureAcceptance).not.toThrow()
  })

  test.each(acceptance.cases)('$name: accepted = $valid', ({ publicKey, message, signature, valid }) => {
    const [k, m, s] = [fromHex(publicKey), fromHex(message), fromHex(signature)]
    expect(ed25519Verify(k, m, s)).toBe(valid)
    // The browser's layer may accept what the rule in front of it refuses (R of small order), never less.
    if (valid) expect(browser.ed25519Verify(k, m, s)).toBe(true)
  })
})
