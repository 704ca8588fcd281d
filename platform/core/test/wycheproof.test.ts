import { createCipheriv, createDecipheriv } from 'node:crypto'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { ed25519Verify, equal, gcmOpen, hkdf, hmacBytes, isAppError, toHex } from '@salus/core'
import { native as browser } from '../src/native/browser.ts'
import type { Native } from '../src/native/native.ts'
import { native as node } from '../src/native/node.ts'
import { expectResult, hexField as hex, type Outcome, runFile, type WycheproofCase } from './wycheproof.ts'

function same(actual: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  if (actual === undefined || !equal(actual, expected)) {
    throw new Error(`${what} is ${actual && toHex(actual)}, must be ${toHex(expected)}`)
  }
}

const sealedOf = (one: WycheproofCase) => {
  const ct = hex(one, 'ct')
  const out = new Uint8Array(ct.length + 16)
  out.set(ct)
  out.set(hex(one, 'tag'), ct.length)
  return out
}

/** An AEAD case is sealed when it is valid and opened always. */
function aead(
  one: WycheproofCase,
  seal: () => Uint8Array,
  open: (sealed: Uint8Array) => Uint8Array | undefined,
): Outcome {
  const sealed = sealedOf(one)
  let opened: Uint8Array | undefined
  try {
    opened = open(sealed)
  } catch {
    opened = undefined // a nonce length that does not exist
  }
  if (one.result === 'valid') {
    same(seal(), sealed, 'ciphertext')
    same(opened, hex(one, 'msg'), 'plaintext')
    return 'pass'
  }
  return expectResult(one, opened !== undefined)
}

/** Which nonces the library does not take. Every nonce of the protocol has 12 bytes. */
interface Layer {
  readonly native: Native
  readonly layer: string
  readonly refusesNonce: (lengthBytes: number) => boolean
  readonly nonceRule: string
  readonly nonceCases: number
}

const layers: Layer[] = [
  {
    native: node,
    layer: 'native layer of Node',
    refusesNonce: (lengthBytes) => lengthBytes > 128,
    nonceRule: 'OpenSSL takes nonces of at most 128 bytes',
    nonceCases: 3,
  },
  {
    native: browser,
    layer: 'native layer of the browser',
    refusesNonce: (lengthBytes) => lengthBytes > 0 && lengthBytes < 8,
    nonceRule: '@noble/ciphers takes nonces of at least 8 bytes',
    nonceCases: 24,
  },
]

for (const { native, layer, refusesNonce, nonceRule, nonceCases } of layers) {
  runFile({
    file: 'aes_gcm_test.json',
    layer,
    count: 316,
    skipped: { [nonceRule]: nonceCases },
    run(one) {
      const [key, nonce, aad, msg] = ['key', 'iv', 'aad', 'msg'].map((field) => hex(one, field)) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ]
      if (refusesNonce(nonce.length)) return { skipped: nonceRule }
      return aead(
        one,
        () => native.gcmSeal({ key, nonce, aad, bytes: msg }),
        (bytes) => native.gcmOpen({ key, nonce, aad, bytes }),
      )
    },
  })

  runFile({
    file: 'ecdsa_secp256r1_sha256_p1363_test.json',
    layer,
    count: 262,
    run(one, group) {
      const point = hex(group['publicKey'] as Record<string, unknown>, 'uncompressed')
      const compressed = new Uint8Array(33)
      compressed[0] = 2 + ((point[64] as number) & 1)
      compressed.set(point.subarray(1, 33), 1)
      return expectResult(one, native.p256Verify(compressed, hex(one, 'msg'), hex(one, 'sig')))
    },
  })

  runFile({
    file: 'ed25519_test.json',
    layer,
    count: 151,
    run(one, group) {
      const publicKey = hex(group['publicKey'] as Record<string, unknown>, 'pk')
      return expectResult(one, native.ed25519Verify(publicKey, hex(one, 'msg'), hex(one, 'sig')))
    },
  })

  runFile({
    file: 'hkdf_sha256_test.json',
    layer,
    count: 86,
    run(one) {
      const lengthBytes = one['size'] as number
      const [ikm, salt, info] = ['ikm', 'salt', 'info'].map((field) => hex(one, field)) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ]
      if (one.result === 'invalid') {
        try {
          native.hkdfSha256({ ikm, salt, info, lengthBytes })
        } catch {
          return 'pass'
        }
        throw new Error('gave more bytes than HKDF has')
      }
      same(native.hkdfSha256({ ikm, salt, info, lengthBytes }), hex(one, 'okm'), 'okm')
      const prk = native.hmacSha256(salt, ikm)
      same(native.hkdfExpandSha256(prk, info, lengthBytes), hex(one, 'okm'), 'okm by expand')
      return 'pass'
    },
  })

  runFile({
    file: 'hmac_sha256_test.json',
    layer,
    count: 174,
    run(one) {
      const tag = hex(one, 'tag')
      const made = native.hmacSha256(hex(one, 'key'), hex(one, 'msg'))
      return expectResult(one, equal(made.subarray(0, tag.length), tag))
    },
  })

  runFile({
    file: 'mlkem_768_test.json',
    layer,
    count: 193,
    run(one) {
      const seed = hex(one, 'seed')
      const ciphertext = hex(one, 'c')
      let shared: Uint8Array | undefined
      try {
        const key = native.mlkem768Key(seed)
        if (one['ek'] !== undefined && one.result === 'valid') same(key.publicKey, hex(one, 'ek'), 'ek')
        shared = key.decapsulate(ciphertext)
      } catch (error) {
        if (one.result === 'valid') throw error
      }
      if (one.result === 'valid') same(shared, hex(one, 'K'), 'K')
      return expectResult(one, shared !== undefined)
    },
  })

  runFile({
    file: 'x25519_test.json',
    layer,
    count: 518,
    run(one) {
      const expected = hex(one, 'shared')
      const shared = native.x25519Key(hex(one, 'private')).agree(hex(one, 'public'))
      // "Acceptable" are keys on the twist, of low order or not canonical: RFC 7748 computes with all of them,
      // and RFC 9180 §7.1.4 refuses an all-zero result.
      if (expected.every((byte) => byte === 0)) {
        if (shared !== undefined) throw new Error('gave an all-zero secret')
        return 'pass'
      }
      same(shared, expected, 'shared')
      return 'pass'
    },
  })
}

// What the package offers on top of the native layer.

runFile({
  file: 'ed25519_test.json',
  layer: 'ed25519Verify',
  count: 151,
  run: (one, group) =>
    expectResult(
      one,
      ed25519Verify(
        hex(group['publicKey'] as Record<string, unknown>, 'pk'),
        hex(one, 'msg'),
        hex(one, 'sig'),
      ),
    ),
})

runFile({
  file: 'aes_gcm_test.json',
  layer: 'gcmOpen',
  count: 316,
  skipped: { 'gcmOpen takes 256-bit keys and 96-bit nonces only': 250 },
  run(one) {
    const key = hex(one, 'key')
    const nonce = hex(one, 'iv')
    if (key.length !== 32 || nonce.length !== 12) {
      return { skipped: 'gcmOpen takes 256-bit keys and 96-bit nonces only' }
    }
    const sealed = new Uint8Array([...nonce, ...sealedOf(one)])
    let opened: Uint8Array | undefined
    try {
      opened = gcmOpen({ key, aad: hex(one, 'aad'), sealed })
    } catch (error) {
      if (!isAppError(error, 'OPEN_FAILED')) throw error
    }
    if (opened !== undefined && one.result === 'valid') same(opened, hex(one, 'msg'), 'plaintext')
    return expectResult(one, opened !== undefined)
  },
})

runFile({
  file: 'hkdf_sha256_test.json',
  layer: 'hkdf',
  count: 86,
  run(one) {
    let okm: Uint8Array | undefined
    try {
      const lengthBytes = one['size'] as number
      okm = hkdf({ ikm: hex(one, 'ikm'), salt: hex(one, 'salt'), info: hex(one, 'info'), lengthBytes })
    } catch (error) {
      if (!isAppError(error, 'TOO_LARGE')) throw error
    }
    if (okm !== undefined && one.result === 'valid') same(okm, hex(one, 'okm'), 'okm')
    return expectResult(one, okm !== undefined)
  },
})

runFile({
  file: 'hmac_sha256_test.json',
  layer: 'hmacBytes',
  count: 174,
  run(one) {
    const tag = hex(one, 'tag')
    return expectResult(one, equal(hmacBytes(hex(one, 'key'), hex(one, 'msg')).subarray(0, tag.length), tag))
  },
})

// No suite uses ChaCha20-Poly1305; the RFC 9180 vectors do, through these two libraries.

runFile({
  file: 'chacha20_poly1305_test.json',
  layer: '@noble/ciphers (tests only)',
  count: 325,
  run(one) {
    const [key, nonce, aad] = ['key', 'iv', 'aad'].map((field) => hex(one, field)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    return aead(
      one,
      () => chacha20poly1305(key, nonce, aad).encrypt(hex(one, 'msg')),
      (sealed) => chacha20poly1305(key, nonce, aad).decrypt(sealed),
    )
  },
})

runFile({
  file: 'chacha20_poly1305_test.json',
  layer: 'node:crypto (tests only)',
  count: 325,
  run(one) {
    const [key, nonce, aad] = ['key', 'iv', 'aad'].map((field) => hex(one, field)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    const options = { authTagLength: 16 } as const
    return aead(
      one,
      () => {
        const msg = hex(one, 'msg')
        const cipher = createCipheriv('chacha20-poly1305', key, nonce, options)
        cipher.setAAD(aad, { plaintextLength: msg.length })
        const ct = Buffer.concat([cipher.update(msg), cipher.final()])
        return new Uint8Array(Buffer.concat([ct, cipher.getAuthTag()]))
      },
      (sealed) => {
        const end = sealed.length - 16
        const decipher = createDecipheriv('chacha20-poly1305', key, nonce, options)
        decipher.setAAD(aad, { plaintextLength: end }).setAuthTag(sealed.subarray(end))
        return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(0, end)), decipher.final()]))
      },
    )
  },
})
