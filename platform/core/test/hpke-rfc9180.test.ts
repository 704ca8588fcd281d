import { existsSync, readFileSync } from 'node:fs'
import { Aes128Gcm, Aes256Gcm, CipherSuite, ExportOnly, HkdfSha256 } from '@hpke/core'
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from '../src/bytes.ts'
import { type HpkeAead, keySchedule } from '../src/hpke-schedule.ts'
import { native as browser } from '../src/native/browser.ts'
import { native as node } from '../src/native/node.ts'
import { DHKEM_X25519_ID, decapsulate, deriveSecret, encapsulate } from './dhkem-x25519.ts'

const FILE = new URL(
  '../../../../shared/data/crypto/hpke-rfc9180/subset_x25519_hkdfsha256.json',
  import.meta.url,
)
const present = existsSync(FILE)
if (!present) console.warn('SKIPPED: RFC 9180 vectors are not at ../shared/data/crypto/hpke-rfc9180')

interface Vector {
  mode: number
  kem_id: number
  aead_id: number
  info: string
  ikmR: string
  ikmE: string
  skRm: string
  skEm: string
  pkRm: string
  enc: string
  shared_secret: string
  key_schedule_context: string
  secret: string
  key: string
  base_nonce: string
  exporter_secret: string
  psk?: string
  psk_id?: string
  pkSm?: string
  encryptions: { aad: string; ct: string; nonce: string; pt: string }[]
  exports: { exporter_context: string; L: number; exported_value: string }[]
}

const vectors: Vector[] = present ? JSON.parse(readFileSync(FILE, 'utf8')) : []
const NAMES = ['base', 'psk', 'auth', 'auth_psk']
const name = (v: Vector) => `${NAMES[v.mode]}, AEAD ${v.aead_id}`

function gcm(id: number, keyBytes: number): HpkeAead {
  return {
    id,
    keyBytes,
    nonceBytes: 12,
    seal: (key, nonce, aad, bytes) => node.gcmSeal({ key, nonce, aad, bytes }),
    open: (key, nonce, aad, bytes) => node.gcmOpen({ key, nonce, aad, bytes }),
  }
}

const aeads = new Map<number, HpkeAead>([
  [1, gcm(1, 16)],
  [2, gcm(2, 32)],
  [
    3,
    {
      id: 3,
      keyBytes: 32,
      nonceBytes: 12,
      seal: (key, nonce, aad, plaintext) => chacha20poly1305(key, nonce, aad).encrypt(plaintext),
      open: (key, nonce, aad, sealed) => chacha20poly1305(key, nonce, aad).decrypt(sealed),
    },
  ],
  [0xffff, { id: 0xffff, keyBytes: 0, nonceBytes: 0, seal: exportOnly, open: exportOnly }],
])

function exportOnly(): never {
  throw new Error('export only')
}

describe.skipIf(!present)('RFC 9180 appendix A, our key schedule', () => {
  test('the file has the 16 vectors of DHKEM(X25519) with HKDF-SHA256', () => {
    expect(vectors.map(name).sort()).toEqual(
      NAMES.flatMap((mode) => [1, 2, 3, 0xffff].map((id) => `${mode}, AEAD ${id}`)).sort(),
    )
  })

  for (const v of vectors.filter(({ mode }) => mode === 0)) {
    test(name(v), () => {
      expect(v.kem_id).toBe(DHKEM_X25519_ID)
      const secretE = deriveSecret(fromHex(v.ikmE))
      const secretR = deriveSecret(fromHex(v.ikmR))
      expect(toHex(secretE)).toBe(v.skEm)
      expect(toHex(secretR)).toBe(v.skRm)
      const { enc, sharedSecret } = encapsulate(node, fromHex(v.pkRm), secretE)
      expect(toHex(enc)).toBe(v.enc)
      expect(toHex(sharedSecret)).toBe(v.shared_secret)
      expect(toHex(decapsulate(browser, secretR, enc))).toBe(v.shared_secret)

      const aead = aeads.get(v.aead_id) as HpkeAead
      const options = { kemId: v.kem_id, aead, sharedSecret, info: fromHex(v.info) }
      const sender = keySchedule(options)
      const receiver = keySchedule(options)
      expect(toHex(sender.secrets.keyScheduleContext)).toBe(v.key_schedule_context)
      expect(toHex(sender.secrets.secret)).toBe(v.secret)
      expect(toHex(sender.secrets.key)).toBe(v.key)
      expect(toHex(sender.secrets.baseNonce)).toBe(v.base_nonce)
      expect(toHex(sender.secrets.exporterSecret)).toBe(v.exporter_secret)
      for (const { aad, ct, pt } of v.encryptions) {
        expect(toHex(sender.seal(fromHex(aad), fromHex(pt)))).toBe(ct)
        expect(toHex(receiver.open(fromHex(aad), fromHex(ct)) as Uint8Array)).toBe(pt)
      }
      for (const { exporter_context, L, exported_value } of v.exports) {
        expect(toHex(sender.exportSecret(fromHex(exporter_context), L))).toBe(exported_value)
      }
    })
  }
})

// Suite 1 has no other mode than base. The second implementation, against which ours is compared in
// hpke.test.ts, is held to the other modes here, so that it is known to follow the RFC as a whole.
describe.skipIf(!present)('RFC 9180 appendix A, the second implementation (@hpke/core)', () => {
  const made = new Map([
    [1, () => new Aes128Gcm()],
    [2, () => new Aes256Gcm()],
    [0xffff, () => new ExportOnly()],
  ])

  for (const v of vectors) {
    const aead = made.get(v.aead_id)
    test.skipIf(aead === undefined)(
      `${name(v)}${aead ? '' : ' (skipped: its ChaCha20-Poly1305 is a package we do not use)'}`,
      async () => {
        const suite = new CipherSuite({
          kem: new DhkemX25519HkdfSha256(),
          kdf: new HkdfSha256(),
          aead: (aead as () => Aes128Gcm)(),
        })
        const key = (type: 'public' | 'private', hex: string) =>
          suite.kem.importKey('raw', buffer(hex), type === 'public')
        const receiver = await suite.createRecipientContext({
          recipientKey: await key('private', v.skRm),
          enc: buffer(v.enc),
          info: buffer(v.info),
          ...(v.psk === undefined ? {} : { psk: { id: buffer(v.psk_id ?? ''), key: buffer(v.psk) } }),
          ...(v.pkSm === undefined ? {} : { senderPublicKey: await key('public', v.pkSm) }),
        })
        for (const { aad, ct, pt } of v.encryptions) {
          expect(toHex(new Uint8Array(await receiver.open(buffer(ct), buffer(aad))))).toBe(pt)
        }
        for (const { exporter_context, L, exported_value } of v.exports) {
          expect(toHex(new Uint8Array(await receiver.export(buffer(exporter_context), L)))).toBe(
            exported_value,
          )
        }
      },
    )
  }
})

function buffer(hex: string): ArrayBuffer {
  return fromHex(hex).buffer as ArrayBuffer
}
