import { generateKeyPairSync, sign } from 'node:crypto'
import { concat, sha256, signedMessage, toBase64url, utf8 } from '@salus/core'
import { expect, test } from 'vitest'
import { bodyFor, challengeOf, encodeBundle, verifyBundle } from '../src/index.ts'
import { countingRandom, testKey } from '../testing/index.ts'

const chainId = sha256(utf8('chain'))
const random = countingRandom('webauthn')
const ana = testKey('ana')
const sponsor = testKey('sponsor')
const request = { chainId, call: 'governance/leave', args: { org: 'a' }, untilMs: 5_000, random }

test('takes a WebAuthn assertion for a P-256 key, over this body alone', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-64)
  const key = concat(new Uint8Array([2 + ((point[63] as number) & 1)]), point.subarray(0, 32))
  const body = bodyFor({ ...request, publicKeys: [key, ana.publicKey] })
  const assertion = (challenge: Uint8Array) => {
    const authenticatorData = new Uint8Array(37).fill(1)
    const data = { type: 'webauthn.get', challenge: toBase64url(challenge), origin: 'https://a.example' }
    const clientDataJSON = utf8(JSON.stringify(data))
    const bytes = concat(authenticatorData, sha256(clientDataJSON))
    return { authenticatorData, clientDataJSON, sig: new Uint8Array(sign('sha256', bytes, privateKey)) }
  }
  const other = ana.sign(signedMessage('tx', chainId, body))
  const items = [
    { body, auth: [assertion(challengeOf(chainId, body)), other] },
    { body, auth: [assertion(random(32)), other] },
  ]
  const wire = encodeBundle({ chain: chainId, sponsor: 'a', until: 1, items }, sponsor)
  expect([...verifyBundle(wire, sponsor.publicKey)]).toEqual([1, 1, 0])
})
