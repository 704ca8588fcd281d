import crypto from 'node:crypto'
import { equal } from '../bytes.ts'
import { keyCache } from './key-cache.ts'
import { nobleMlkemEncapsulate, nobleMlkemKey } from './mlkem-noble.ts'
import type { MlkemKey, Native } from './native.ts'

/** Fixed DER in front of a raw key of a fixed length. */
interface KeyForm {
  readonly prefix: Uint8Array
  readonly lengthBytes: number
}

// RFC 8410 (curve25519), RFC 5480 (P-256), RFC 9935 (ML-KEM, seed form).
const ED25519_PKCS8 = keyForm('302e020100300506032b657004220420', 32)
const ED25519_SPKI = keyForm('302a300506032b6570032100', 32)
const X25519_PKCS8 = keyForm('302e020100300506032b656e04220420', 32)
const X25519_SPKI = keyForm('302a300506032b656e032100', 32)
const P256_SPKI = keyForm('3039301306072a8648ce3d020106082a8648ce3d030107032200', 33)
const MLKEM768_PKCS8 = keyForm('3054020100300b060960864801650304040204428040', 64)
const MLKEM768_SPKI = keyForm('308204b2300b0609608648016503040402038204a100', 1184)

const ed25519Keys = keyCache((key) => publicKeyObject(ED25519_SPKI, key))
const p256Keys = keyCache((key) => publicKeyObject(P256_SPKI, key))

const hmacKey = lastKeyCache()
const sealingKey = lastKeyCache()

/** Node 24 has ML-KEM-768; older majors fall back to JavaScript. */
const hasMlkem = detectMlkem()

/** One-shot SHA-256. The digest comes as a latin-1 string: making a Buffer costs three times the hash itself. */
function sha256(bytes: Uint8Array): Uint8Array {
  const digest = crypto.hash('sha256', bytes, 'binary')
  const out = new Uint8Array(32)
  for (let at = 0; at < 32; at += 1) out[at] = digest.charCodeAt(at)
  return out
}

export const native: Native = {
  name: 'node',
  sha256,
  sha3x256: (bytes) => plain(crypto.hash('sha3-256', bytes, 'buffer')),
  shake256: (bytes, lengthBytes) =>
    plain(crypto.createHash('shake256', { outputLength: lengthBytes }).update(bytes).digest()),
  hmacSha256,
  hkdfSha256: ({ ikm, salt, info, lengthBytes }) =>
    new Uint8Array(crypto.hkdfSync('sha256', secretKey(ikm), salt, info, lengthBytes)),
  hkdfExpandSha256,
  gcmSeal({ key, nonce, aad, bytes }) {
    const cipher = crypto.createCipheriv(gcmName(key), sealingKey(key), nonce).setAAD(aad)
    const out = new Uint8Array(bytes.length + 16)
    out.set(cipher.update(bytes), 0)
    cipher.final()
    out.set(cipher.getAuthTag(), bytes.length)
    return out
  },
  gcmOpen({ key, nonce, aad, bytes }) {
    if (bytes.length < 16) return undefined
    const end = bytes.length - 16
    const decipher = crypto.createDecipheriv(gcmName(key), secretKey(key), nonce, { authTagLength: 16 })
    decipher.setAAD(aad).setAuthTag(bytes.subarray(end))
    const opened = decipher.update(bytes.subarray(0, end))
    try {
      decipher.final()
    } catch {
      return undefined
    }
    return plain(opened)
  },
  ed25519Key(seed) {
    const secret = secretKeyObject(ED25519_PKCS8, seed)
    return {
      publicKey: rawPublicKey(secret, ED25519_SPKI),
      sign: (message) => plain(crypto.sign(null, message, secret)),
    }
  },
  ed25519Verify(publicKey, message, signature) {
    try {
      return crypto.verify(null, message, ed25519Keys(publicKey), signature)
    } catch {
      return false
    }
  },
  p256Verify(publicKey, message, signature) {
    try {
      return crypto.verify(
        'sha256',
        message,
        { key: p256Keys(publicKey), dsaEncoding: 'ieee-p1363' },
        signature,
      )
    } catch {
      return false
    }
  },
  x25519Key(seed) {
    const secret = secretKeyObject(X25519_PKCS8, seed)
    return {
      publicKey: rawPublicKey(secret, X25519_SPKI),
      agree(publicKey) {
        const other = publicKeyObject(X25519_SPKI, publicKey)
        try {
          return plain(crypto.diffieHellman({ privateKey: secret, publicKey: other }))
        } catch {
          // OpenSSL refuses an all-zero result.
          return undefined
        }
      },
    }
  },
  mlkem768Key(seed) {
    return hasMlkem ? nativeMlkemKey(seed) : nobleMlkemKey(seed)
  },
  mlkem768Encapsulate(publicKey) {
    if (!hasMlkem) return nobleMlkemEncapsulate(publicKey)
    try {
      const { ciphertext, sharedKey } = crypto.encapsulate(publicKeyObject(MLKEM768_SPKI, publicKey))
      return { ciphertext: plain(ciphertext), sharedSecret: plain(sharedKey) }
    } catch {
      return undefined
    }
  },
  mlkem768EncapsulateFrom: nobleMlkemEncapsulate,
}

function nativeMlkemKey(seed: Uint8Array): MlkemKey {
  const secret = secretKeyObject(MLKEM768_PKCS8, seed)
  return {
    publicKey: rawPublicKey(secret, MLKEM768_SPKI),
    decapsulate: (ciphertext) => plain(crypto.decapsulate(secret, ciphertext)),
  }
}

function detectMlkem(): boolean {
  if (typeof crypto.encapsulate !== 'function') return false
  try {
    return nativeMlkemKey(new Uint8Array(64)).publicKey.length === 1184
  } catch {
    return false
  }
}

/**
 * Node 24.21 takes some 12 µs longer over a key given as bytes than over a key object made of them first (0.8 µs):
 * three quarters of a short HMAC. Empty keys are no key objects on every major.
 */
function secretKey(key: Uint8Array): crypto.KeyObject | Uint8Array {
  return key.length === 0 ? key : crypto.createSecretKey(key)
}

/** As `secretKey`, keeping the object of the last key: bulk work uses one key many times in a row. */
function lastKeyCache(): typeof secretKey {
  let last: { readonly bytes: Uint8Array; readonly object: ReturnType<typeof secretKey> } | undefined
  return (key) => {
    if (last === undefined || !equal(last.bytes, key)) {
      last?.bytes.fill(0)
      last = { bytes: key.slice(), object: secretKey(key) }
    }
    return last.object
  }
}

function hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  return plain(crypto.createHmac('sha256', hmacKey(key)).update(bytes).digest())
}

/** node:crypto offers only both steps at once. */
function hkdfExpandSha256(prk: Uint8Array, info: Uint8Array, lengthBytes: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(lengthBytes / 32) * 32)
  const secret = secretKey(prk)
  let previous: Uint8Array = new Uint8Array(0)
  for (let block = 1; (block - 1) * 32 < lengthBytes; block++) {
    const hmac = crypto.createHmac('sha256', secret).update(previous).update(info)
    previous = hmac.update(Uint8Array.of(block)).digest()
    out.set(previous, (block - 1) * 32)
  }
  return out.subarray(0, lengthBytes)
}

function gcmName(key: Uint8Array): crypto.CipherGCMTypes {
  return `aes-${key.length * 8}-gcm` as crypto.CipherGCMTypes // a length that does not exist throws in OpenSSL
}

function keyForm(prefixHex: string, lengthBytes: number): KeyForm {
  return { prefix: Buffer.from(prefixHex, 'hex'), lengthBytes }
}

/** OpenSSL reads on past a key that is too long, so the length is checked here. */
function withPrefix({ prefix, lengthBytes }: KeyForm, raw: Uint8Array): Buffer {
  if (raw.length !== lengthBytes) throw new RangeError(`key: must be ${lengthBytes} bytes`)
  return Buffer.concat([prefix, raw])
}

function secretKeyObject(form: KeyForm, raw: Uint8Array): crypto.KeyObject {
  return crypto.createPrivateKey({ key: withPrefix(form, raw), format: 'der', type: 'pkcs8' })
}

function publicKeyObject(form: KeyForm, raw: Uint8Array): crypto.KeyObject {
  return crypto.createPublicKey({ key: withPrefix(form, raw), format: 'der', type: 'spki' })
}

function rawPublicKey(secret: crypto.KeyObject, { prefix }: KeyForm): Uint8Array {
  const der = crypto.createPublicKey(secret).export({ format: 'der', type: 'spki' })
  return Uint8Array.from(der.subarray(prefix.length))
}

/** Buffers stay inside this file: callers and tests see plain Uint8Array. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}
