import { Aes256Gcm, CipherSuite, HkdfSha256 } from '@hpke/core'
import { XWing } from '@hpke/hybridkem-x-wing'
import { ml_kem768_x25519 } from '@noble/post-quantum/hybrid.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import hpkeVectors from '../../../vectors/hpke.json' with { type: 'json' }
import xwingVectors from '../../../vectors/xwing.json' with { type: 'json' }
import { repeatable, scripted } from '../test/randomness.ts'
import { system } from '../test/system-random.ts'
import { concat, fromHex, toHex, utf8 } from './bytes.ts'
import { openSealed, sealKeyPair, sealTo, setupReceiver, setupSender } from './hpke.ts'
import { encapsulate, XWING_ENC_BYTES } from './xwing.ts'

const exactly = (lengthBytes: number) => fc.uint8Array({ minLength: lengthBytes, maxLength: lengthBytes })
const runs = { numRuns: 6 }
const theirs = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() })
const key = sealKeyPair(new Uint8Array(32).fill(1))

/** A fresh ArrayBuffer, as the second implementation wants it. */
const buffer = (bytes: Uint8Array) => bytes.slice().buffer as ArrayBuffer

describe('X-Wing', () => {
  test.each(xwingVectors.cases)('draft vector $#', ({ seed, eseed, pk, ct, ss }) => {
    const pair = sealKeyPair(fromHex(seed))
    expect(toHex(pair.publicKey)).toBe(pk)
    const made = encapsulate(pair.publicKey, scripted(fromHex(eseed)))
    expect(toHex(made.ciphertext)).toBe(ct)
    expect(toHex(made.sharedSecret)).toBe(ss)
    expect(toHex(pair.decapsulate(fromHex(ct)) as Uint8Array)).toBe(ss)
  })

  test('agrees with the JavaScript library in both directions', () => {
    fc.assert(
      fc.property(exactly(32), exactly(64), (seed, eseed) => {
        const pair = sealKeyPair(seed)
        const other = ml_kem768_x25519.keygen(seed)
        expect(pair.publicKey).toEqual(other.publicKey)
        const ours = encapsulate(pair.publicKey, scripted(eseed))
        expect(ml_kem768_x25519.encapsulate(other.publicKey, eseed)).toEqual({
          cipherText: ours.ciphertext,
          sharedSecret: ours.sharedSecret,
        })
        const native = encapsulate(pair.publicKey, system)
        expect(ml_kem768_x25519.decapsulate(native.ciphertext, other.secretKey)).toEqual(native.sharedSecret)
        const back = ml_kem768_x25519.encapsulate(other.publicKey)
        expect(pair.decapsulate(back.cipherText)).toEqual(back.sharedSecret)
      }),
      runs,
    )
  })

  test('an encapsulation of impossible form gives nothing', () => {
    expect(key.decapsulate(new Uint8Array(XWING_ENC_BYTES - 1))).toBeUndefined()
    // Its X25519 part is zero.
    expect(key.decapsulate(new Uint8Array(XWING_ENC_BYTES))).toBeUndefined()
  })

  test('a seed or public key of the wrong form is refused', () => {
    const code = { code: 'KEY' }
    expect(() => sealKeyPair(new Uint8Array(31))).toThrow(expect.objectContaining(code))
    for (const random of [system, repeatable('x')]) {
      expect(() => encapsulate(new Uint8Array(1215), random)).toThrow(expect.objectContaining(code))
      const badMlkem = key.publicKey.slice()
      badMlkem.fill(0xff, 0, 1184)
      expect(() => encapsulate(badMlkem, random)).toThrow(expect.objectContaining(code))
      const badX25519 = key.publicKey.slice()
      badX25519.fill(0, 1184)
      expect(() => encapsulate(badX25519, random)).toThrow(expect.objectContaining(code))
    }
  })
})

describe('HPKE, suite 1', () => {
  test.each(hpkeVectors.cases)('vector $#', (v) => {
    const pair = sealKeyPair(fromHex(v.seed))
    expect(toHex(pair.publicKey)).toBe(v.publicKey)
    const info = fromHex(v.info)
    const sender = setupSender({ to: pair.publicKey, info, random: scripted(fromHex(v.eseed)) })
    const receiver = setupReceiver({ key: pair, enc: fromHex(v.enc), info })
    expect(toHex(sender.enc)).toBe(v.enc)
    for (const { aad, plaintext, sealed } of v.messages) {
      expect(toHex(sender.seal(fromHex(aad), fromHex(plaintext)))).toBe(sealed)
      expect(toHex(receiver.open(fromHex(aad), fromHex(sealed)))).toBe(plaintext)
    }
    for (const { context, lengthBytes, secret } of v.exports) {
      expect(toHex(sender.exportSecret(fromHex(context), lengthBytes))).toBe(secret)
      expect(toHex(receiver.exportSecret(fromHex(context), lengthBytes))).toBe(secret)
    }
  })

  test('what we seal, @hpke/core opens', async () => {
    await fc.assert(
      fc.asyncProperty(
        exactly(32),
        fc.uint8Array(),
        fc.uint8Array(),
        fc.array(fc.uint8Array(), { minLength: 1, maxLength: 4 }),
        fc.constantFrom(system, repeatable('sender')),
        async (seed, info, aad, messages, random) => {
          const pair = sealKeyPair(seed)
          const sender = setupSender({ to: pair.publicKey, info, random })
          const receiver = await theirs.createRecipientContext({
            recipientKey: await theirs.kem.importKey('raw', buffer(seed), false),
            enc: buffer(sender.enc),
            info: buffer(info),
          })
          for (const message of messages) {
            const opened = await receiver.open(buffer(sender.seal(aad, message)), buffer(aad))
            expect(new Uint8Array(opened)).toEqual(message)
          }
          expect(new Uint8Array(await receiver.export(buffer(aad), 77))).toEqual(sender.exportSecret(aad, 77))
        },
      ),
      runs,
    )
  })

  test('what @hpke/core seals, we open', async () => {
    await fc.assert(
      fc.asyncProperty(
        exactly(32),
        fc.uint8Array(),
        fc.uint8Array(),
        fc.array(fc.uint8Array(), { minLength: 1, maxLength: 4 }),
        async (seed, info, aad, messages) => {
          const pair = sealKeyPair(seed)
          const sender = await theirs.createSenderContext({
            recipientPublicKey: await theirs.kem.importKey('raw', buffer(pair.publicKey), true),
            info: buffer(info),
          })
          const receiver = setupReceiver({ key: pair, enc: new Uint8Array(sender.enc), info })
          for (const message of messages) {
            const sealed = new Uint8Array(await sender.seal(buffer(message), buffer(aad)))
            expect(receiver.open(aad, sealed)).toEqual(message)
          }
          expect(receiver.exportSecret(aad, 77)).toEqual(new Uint8Array(await sender.export(buffer(aad), 77)))
        },
      ),
      runs,
    )
  })

  test('messages open in the order they were sealed, and one that fails may come again', () => {
    const aad = new Uint8Array(0)
    const sender = setupSender({ to: key.publicKey, info: aad, random: system })
    const receiver = setupReceiver({ key, enc: sender.enc, info: aad })
    const [first, second] = [sender.seal(aad, utf8('first')), sender.seal(aad, utf8('second'))]
    const failed = expect.objectContaining({ code: 'OPEN_FAILED' })
    expect(() => receiver.open(aad, second)).toThrow(failed)
    expect(receiver.open(aad, first)).toEqual(utf8('first'))
    expect(() => receiver.open(aad, first)).toThrow(failed)
    expect(receiver.open(aad, second)).toEqual(utf8('second'))
  })

  test('one message: any other key, info, aad or byte fails to open', () => {
    const [info, aad, plaintext] = [utf8('info'), utf8('aad'), utf8('plaintext')]
    const sealed = sealTo({ to: key.publicKey, info, aad, plaintext, random: system })
    expect(openSealed({ key, info, aad, sealed })).toEqual(plaintext)
    const failed = expect.objectContaining({ code: 'OPEN_FAILED' })
    const other = sealKeyPair(new Uint8Array(32).fill(2))
    expect(() => openSealed({ key: other, info, aad, sealed })).toThrow(failed)
    expect(() => openSealed({ key, info: aad, aad, sealed })).toThrow(failed)
    expect(() => openSealed({ key, info, sealed })).toThrow(failed)
    expect(() => openSealed({ key, info, aad, sealed: sealed.subarray(0, -1) })).toThrow(failed)
    expect(() => openSealed({ key, info, aad, sealed: concat(sealed, Uint8Array.of(0)) })).toThrow(failed)
    expect(() => openSealed({ key, info, aad, sealed: sealed.subarray(0, 1135) })).toThrow(failed)
    fc.assert(
      fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
        const changed = sealed.slice()
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
        // The top bit of the X25519 part is no part of the point, but the key schedule binds it all the same.
        expect(() => openSealed({ key, info, aad, sealed: changed })).toThrow(failed)
      }),
      { numRuns: 40 },
    )
  })
})
