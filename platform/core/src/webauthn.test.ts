import { generateKeyPairSync, sign } from 'node:crypto'
import { p256 } from '@noble/curves/nist.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, toBase64url, toHex, utf8 } from './bytes.ts'
import { fromDer } from './ecdsa-der.ts'
import { sha256 } from './hash.ts'
import { native as browser } from './native/browser.ts'
import { native as node } from './native/node.ts'
import { type AssertionAuth, signedMessage, verifyAuth } from './sign.ts'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const compressed = new Uint8Array(
  p256.Point.fromBytes(
    concat(
      Uint8Array.of(4),
      Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url'),
      Buffer.from(publicKey.export({ format: 'jwk' }).y as string, 'base64url'),
    ),
  ).toBytes(true),
)
const chainId = sha256(utf8('a chain'))
const body = utf8('a vote')
const challenge = sha256(signedMessage('tx', chainId, body))

interface Parts {
  readonly flags?: number
  readonly extensions?: Uint8Array
  readonly client?: unknown
  readonly clientText?: string
}

/** An authenticator and browser in a few lines. */
function assertion({
  flags = 0x05,
  extensions = new Uint8Array(0),
  client,
  clientText,
}: Parts = {}): AssertionAuth {
  const authenticatorData = concat(sha256(utf8('example.org')), Uint8Array.of(flags, 0, 0, 0, 7), extensions)
  const data = client ?? {
    type: 'webauthn.get',
    challenge: toBase64url(challenge),
    origin: 'https://example.org',
    crossOrigin: false,
  }
  const clientDataJSON = utf8(clientText ?? JSON.stringify(data))
  const sig = new Uint8Array(sign('sha256', concat(authenticatorData, sha256(clientDataJSON)), privateKey))
  return { authenticatorData, clientDataJSON, sig }
}

const holds = (auth: AssertionAuth, key = compressed) => verifyAuth(key, 'tx', chainId, body, auth)

describe('a WebAuthn assertion', () => {
  test('holds for the signed message', () => {
    expect(compressed.length).toBe(33)
    for (let i = 0; i < 20; i++) expect(holds(assertion())).toBe(true)
  })

  test('holds for no other type, chain, bytes or key', () => {
    const auth = assertion()
    expect(verifyAuth(compressed, 'bundle', chainId, body, auth)).toBe(false)
    expect(verifyAuth(compressed, 'tx', sha256(chainId), body, auth)).toBe(false)
    expect(verifyAuth(compressed, 'tx', chainId, utf8('another'), auth)).toBe(false)
    const other = compressed.slice()
    other[0] = (other[0] as number) ^ 1
    expect(holds(auth, other)).toBe(false)
    expect(holds(auth, compressed.subarray(1))).toBe(false)
    expect(holds(auth, new Uint8Array(33))).toBe(false)
  })

  test('needs the user-present flag', () => {
    expect(holds(assertion({ flags: 0x01 }))).toBe(true)
    expect(holds(assertion({ flags: 0x04 }))).toBe(false)
    expect(holds(assertion({ flags: 0x00 }))).toBe(false)
  })

  test('needs type webauthn.get and exactly this challenge', () => {
    const good = { type: 'webauthn.get', challenge: toBase64url(challenge) }
    expect(holds(assertion({ client: good }))).toBe(true)
    for (const client of [
      { ...good, type: 'webauthn.create' },
      { ...good, challenge: `${good.challenge}=` },
      { ...good, challenge: toHex(challenge) },
      { ...good, challenge: [good.challenge] },
      { type: good.type },
      [good],
      'webauthn.get',
    ]) {
      expect(holds(assertion({ client }))).toBe(false)
    }
    expect(holds(assertion({ clientText: 'null' }))).toBe(false)
    expect(holds(assertion({ clientText: `${JSON.stringify(good)}}` }))).toBe(false)
  })

  test('has limits on size', () => {
    expect(holds(assertion({ extensions: new Uint8Array(512 - 37) }))).toBe(true)
    expect(holds(assertion({ extensions: new Uint8Array(513 - 37) }))).toBe(false)
    const good = { type: 'webauthn.get', challenge: toBase64url(challenge) }
    const room = 1024 - JSON.stringify({ ...good, origin: '' }).length
    expect(holds(assertion({ client: { ...good, origin: 'x'.repeat(room) } }))).toBe(true)
    expect(holds(assertion({ client: { ...good, origin: 'x'.repeat(room + 1) } }))).toBe(false)
    const { authenticatorData, ...rest } = assertion()
    expect(holds({ ...rest, authenticatorData: authenticatorData.subarray(0, 36) })).toBe(false)
  })

  test('any changed bit fails', () => {
    const auth = assertion()
    fc.assert(
      fc.property(
        fc.constantFrom('authenticatorData', 'clientDataJSON', 'sig'),
        fc.nat(),
        fc.nat(7),
        (part: keyof AssertionAuth, at, bit) => {
          const changed = auth[part].slice()
          changed[at % changed.length] = (changed[at % changed.length] as number) ^ (1 << bit)
          expect(holds({ ...auth, [part]: changed })).toBe(false)
        },
      ),
    )
  })
})

describe('DER signatures', () => {
  test('agree with OpenSSL and noble on what they hold', () => {
    for (let i = 0; i < 100; i++) {
      const message = Uint8Array.of(i)
      const der = new Uint8Array(sign('sha256', message, privateKey))
      const raw = fromDer(der) as Uint8Array
      expect(toHex(raw)).toBe(toHex(p256.Signature.fromBytes(der, 'der').toBytes('compact')))
      expect(node.p256Verify(compressed, message, raw)).toBe(true)
      expect(browser.p256Verify(compressed, message, raw)).toBe(true)
      expect(node.p256Verify(compressed, Uint8Array.of(i + 1), raw)).toBe(false)
      expect(browser.p256Verify(compressed, Uint8Array.of(i + 1), raw)).toBe(false)
    }
  })

  test('high and low s both hold, on both layers', () => {
    const message = utf8('s')
    const raw = fromDer(new Uint8Array(sign('sha256', message, privateKey))) as Uint8Array
    const { r, s } = p256.Signature.fromBytes(raw, 'compact')
    const mirrored = new p256.Signature(r, p256.Point.Fn.neg(s)).toBytes('compact')
    for (const signature of [raw, mirrored]) {
      expect(node.p256Verify(compressed, message, signature)).toBe(true)
      expect(browser.p256Verify(compressed, message, signature)).toBe(true)
    }
  })

  test.each([
    ['empty', ''],
    ['no sequence', '3106020101020101'],
    ['length too long', '3007020101020101'],
    ['length too short', '3005020101020101'],
    ['long form of length', '308106020101020101'],
    ['bytes behind', '300602010102010100'],
    ['bytes behind, inside', '300702010102010100'],
    ['not an integer', '3006030101020101'],
    ['negative', '3006020181020101'],
    ['not minimal', '300702020001020101'],
    ['empty integer', '30050200020101'],
    ['one integer only', '3003020101'],
    ['33 bytes of value', `302602210${'1'.repeat(65)}020101`],
  ])('%s is refused', (_, hex) => {
    expect(fromDer(new Uint8Array(Buffer.from(hex, 'hex')))).toBeUndefined()
  })

  test('small integers are read', () => {
    expect(toHex(fromDer(new Uint8Array(Buffer.from('3006020101020102', 'hex'))) as Uint8Array)).toBe(
      `${'0'.repeat(63)}1${'0'.repeat(63)}2`,
    )
  })
})
