import { gcm } from '@noble/ciphers/aes.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { expand, hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { sha3_256, shake256 } from '@noble/hashes/sha3.js'
import { concat, equal } from '../bytes.ts'
import { nobleMlkemEncapsulate, nobleMlkemKey } from './mlkem-noble.ts'
import type { Native } from './native.ts'

export const native: Native = {
  name: 'browser',
  sha256: (bytes) => sha256(bytes),
  sha3x256: (bytes) => sha3_256(bytes),
  shake256: (bytes, lengthBytes) => shake256(bytes, { dkLen: lengthBytes }),
  hmacSha256: (key, bytes) => hmac(sha256, key, bytes),
  hkdfSha256: ({ ikm, salt, info, lengthBytes }) => hkdf(sha256, ikm, salt, info, lengthBytes),
  hkdfExpandSha256: (prk, info, lengthBytes) => expand(sha256, prk, info, lengthBytes),
  gcmSeal: ({ key, nonce, aad, bytes }) => gcm(key, nonce, aad).encrypt(bytes),
  gcmOpen({ key, nonce, aad, bytes }) {
    const cipher = gcm(key, nonce, aad)
    try {
      return cipher.decrypt(bytes)
    } catch {
      return undefined
    }
  },
  ed25519Key(seed) {
    const secret = seed.slice()
    return {
      publicKey: ed25519.getPublicKey(secret),
      sign: (message) => ed25519.sign(message, secret),
    }
  },
  ed25519Verify(publicKey, message, signature) {
    try {
      return (
        ed25519.verify(signature, message, publicKey, { zip215: false }) &&
        holdsWithoutCofactor(publicKey, message, signature)
      )
    } catch {
      return false
    }
  },
  p256Verify(publicKey, message, signature) {
    try {
      return p256.verify(signature, message, publicKey, { format: 'compact', lowS: false })
    } catch {
      return false
    }
  },
  x25519Key(seed) {
    const secret = seed.slice()
    return {
      publicKey: x25519.getPublicKey(secret),
      agree(publicKey) {
        try {
          return x25519.getSharedSecret(secret, publicKey)
        } catch {
          return undefined
        }
      },
    }
  },
  mlkem768Key: nobleMlkemKey,
  mlkem768Encapsulate: (publicKey) => nobleMlkemEncapsulate(publicKey),
  mlkem768EncapsulateFrom: nobleMlkemEncapsulate,
}

/**
 * noble multiplies the equation by the cofactor 8, OpenSSL does not. They differ only for signatures whose own
 * signer put a point of small order into key or R; this removes that difference. Runs after `verify` held.
 */
function holdsWithoutCofactor(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const { Point } = ed25519
  const r = signature.subarray(0, 32)
  const s = Point.Fn.fromBytes(signature.subarray(32))
  const h = Point.Fn.create(littleEndian(sha512(concat(r, publicKey, message))))
  const key = Point.fromBytes(publicKey)
  const expected = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(h))
  return equal(expected.toBytes(), r)
}

function littleEndian(bytes: Uint8Array): bigint {
  let n = 0n
  for (let i = bytes.length - 1; i >= 0; i--) n = (n << 8n) | BigInt(bytes[i] as number)
  return n
}
