import { equal, sealKeyPair, sha256, signAs, signingKey, utf8 } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openClaimReply, openClaimRequest, replyToClaim, signClaimRequest } from './claim.ts'
import { credentialId, credentialIsValid, openCredential, signCredential } from './credential.ts'
import { levelSuffices, openLinkStatement, signLinkStatement, subOf } from './enrolment.ts'
import {
  CODE_DIGITS,
  CODE_LIFE_MS,
  CODE_TRIES,
  drawCode,
  openMatchAnswer,
  openMatchConfirmation,
  openMatchRequest,
  pendingCode,
  signMatchAnswer,
  signMatchConfirmation,
  signMatchRequest,
  tryCode,
} from './matching.ts'
import { erasedArgs, openReceipt, signReceipt } from './receipts.ts'
import {
  mayHelp,
  openShareReply,
  openShareRequest,
  replyToShareRequest,
  signShareRequest,
} from './recovery.ts'
import { erasureEffect, RETENTION } from './retention.ts'

const fixed = (name: string): Uint8Array => sha256(utf8(name))
const keyOf = (name: string) => signingKey(fixed(`key ${name}`))
const chainId = fixed('chain')
const [host, stranger, device] = [keyOf('host'), keyOf('stranger'), keyOf('device')]
const sealKey = sealKeyPair(fixed('device seal'))
const otherSeal = sealKeyPair(fixed('other seal'))
const random = (lengthBytes: number): Uint8Array => {
  const out = new Uint8Array(lengthBytes)
  for (let at = 0; at < lengthBytes; at += 32)
    out.set(fixed(`r${at}`).subarray(0, Math.min(32, lengthBytes - at)), at)
  return out
}
const NOW = 1_795_348_800_000
const HOUR = 3_600_000

test('a credential is its issuer’s word; custodians go by its status and its end', () => {
  const credential = {
    v: 1,
    issuer: 'a',
    practitioner: 'p-1',
    cnf: device.publicKey,
    roles: ['physician'],
    until: NOW,
  }
  const signed = signCredential(host, chainId, credential)
  expect(openCredential(host.publicKey, chainId, signed)).toEqual(credential)
  expect(() => openCredential(stranger.publicKey, chainId, signed)).toThrow('sig:')
  expect(equal(credentialId(fixed('s1'), signed.bytes), credentialId(fixed('s2'), signed.bytes))).toBe(false)
  const row = { issuer: 'a', status: 'active' }
  expect(credentialIsValid(credential, row, NOW - 1)).toBe(true)
  expect(credentialIsValid(credential, row, NOW)).toBe(false)
  expect(credentialIsValid(credential, { ...row, status: 'suspended' }, NOW - 1)).toBe(false)
  expect(credentialIsValid(credential, { ...row, issuer: 'b' }, NOW - 1)).toBe(false)
  expect(credentialIsValid(credential, undefined, NOW - 1)).toBe(false)
})

describe('enrolment', () => {
  const link = keyOf('link')
  const statement = {
    v: 1,
    org: 'a',
    sub: subOf(fixed('secret'), 'a'),
    linkKey: link.publicKey,
    home: 'a',
    time: NOW,
  }
  test('no two organisations know the patient by the same name', () => {
    expect(equal(subOf(fixed('secret'), 'a'), subOf(fixed('secret'), 'b'))).toBe(false)
  })
  test('a link statement is signed by the very key, for the very organisation', () => {
    const signed = signLinkStatement(link, chainId, statement)
    const input = { signed, linkKey: link.publicKey, org: 'a', chainId }
    expect(openLinkStatement(input)).toEqual(statement)
    expect(() => openLinkStatement({ ...input, org: 'b' })).toThrow('org:')
    expect(() => openLinkStatement({ ...input, linkKey: stranger.publicKey })).toThrow('sig:')
    expect(() => signLinkStatement(stranger, chainId, statement)).toThrow('linkKey:')
  })
  test('a replacement and a delegate’s key need the earlier key too', () => {
    const next = keyOf('next')
    for (const change of [{ replaces: link.publicKey }, { d: fixed('d').slice(0, 16) }]) {
      const signed = signLinkStatement(next, chainId, { ...statement, linkKey: next.publicKey, ...change })
      const input = { signed, linkKey: next.publicKey, org: 'a', chainId }
      const endorse = (by: typeof link) => ({
        key: by.publicKey,
        sig: signAs(by, 'statement', chainId, signed.bytes),
      })
      expect(() => openLinkStatement(input)).toThrow('endorsement:')
      expect(openLinkStatement({ ...input, endorsedBy: endorse(link) }).linkKey).toEqual(next.publicKey)
      const forged = { key: link.publicKey, sig: endorse(stranger).sig }
      expect(() => openLinkStatement({ ...input, endorsedBy: forged })).toThrow('sig:')
      if ('replaces' in change) {
        expect(() => openLinkStatement({ ...input, endorsedBy: endorse(stranger) })).toThrow('replaces:')
      }
    }
  })
  test('custodian records need IAL2, patient-made data IAL1', () => {
    expect(levelSuffices('IAL1', 'custodian-records')).toBe(false)
    expect(levelSuffices('IAL2', 'custodian-records')).toBe(true)
    expect(levelSuffices('IAL1', 'patient-made')).toBe(true)
  })
})

describe('matching', () => {
  const id = fixed('request').slice(0, 16)
  test('messages come back under the right key alone', () => {
    const person = { family: 'Hill', given: 'Mary', birthDate: '1970-01-01' }
    const request = { v: 1, requestId: id, from: 'b', to: 'a', time: NOW, person }
    const signed = signMatchRequest(host, chainId, request)
    expect(openMatchRequest(host.publicKey, chainId, signed)).toEqual(request)
    expect(() => openMatchRequest(stranger.publicKey, chainId, signed)).toThrow('sig:')
    const confirmation = { v: 1, requestId: id, code: '12345678' }
    const confirmed = signMatchConfirmation(host, chainId, confirmation)
    expect(openMatchConfirmation(host.publicKey, chainId, confirmed)).toEqual(confirmation)
    const answer = { v: 1, requestId: id, answer: 'yes' as const, time: NOW }
    expect(openMatchAnswer(host.publicKey, chainId, signMatchAnswer(host, chainId, answer))).toEqual(answer)
    // A request is not an answer.
    expect(() => openMatchAnswer(host.publicKey, chainId, confirmed)).toThrow('sig:')
  })
  test('a code works once in ten minutes, within five tries', () => {
    const code = drawCode(random)
    expect(code).toMatch(new RegExp(`^[0-9]{${CODE_DIGITS}}$`))
    const wrong = code === '00000000' ? '00000001' : '00000000'
    const pending = pendingCode(id, code, NOW, random)
    expect(JSON.stringify(pending)).not.toContain(code)
    expect(tryCode(pending, code, NOW + CODE_LIFE_MS - 1).answer).toBe('yes')
    expect(tryCode(pending, code, NOW + CODE_LIFE_MS).answer).toBe('no')
    expect(tryCode(pending, code, NOW - 1).answer).toBe('no')
    let tried = pending
    for (let i = 0; i < CODE_TRIES; i++) {
      const { answer, pending: next } = tryCode(tried, wrong, NOW)
      expect(answer).toBe('no')
      tried = next
    }
    expect(tryCode(tried, code, NOW).answer).toBe('no')
  })
  test('property: every digit of a code is equally likely', () => {
    const counts = new Array<number>(10).fill(0)
    let seed = 0
    const draw = (lengthBytes: number): Uint8Array => fixed(`seed ${seed++}`).slice(0, lengthBytes)
    for (let i = 0; i < 5_000; i++)
      for (const digit of drawCode(draw)) counts[Number(digit)] = (counts[Number(digit)] ?? 0) + 1
    // 40,000 digits: 4,000 each, standard deviation 60.
    for (const count of counts) expect(Math.abs(count - 4_000)).toBeLessThan(300)
  })
})

describe('claim of a hosted account', () => {
  const request = {
    v: 1,
    host: 'a',
    account: fixed('account').slice(0, 16),
    deviceKey: device.publicKey,
    sealKey: sealKey.publicKey,
    proofing: { level: 'IAL2' as const, kind: 'id-document' as const },
    time: NOW,
  }
  const signedRequest = signClaimRequest(device, chainId, request)
  const krk = fixed('krk')
  const signed = replyToClaim({
    request,
    signedRequest,
    krk,
    keyringVersion: 3,
    hostKey: host,
    chainId,
    random,
  })
  const input = { signed, request, signedRequest, hostKey: host.publicKey, key: sealKey, chainId }
  test('the host wraps KRK to the device that asked, and to no other', () => {
    expect(openClaimRequest(device.publicKey, chainId, signedRequest)).toEqual(request)
    expect(openClaimReply(input)).toEqual({ krk, keyringVersion: 3 })
    expect(() => openClaimReply({ ...input, key: otherSeal })).toThrow()
    expect(() => openClaimReply({ ...input, hostKey: stranger.publicKey })).toThrow('sig:')
    const later = signClaimRequest(device, chainId, { ...request, time: NOW + 1 })
    expect(() => openClaimReply({ ...input, signedRequest: later })).toThrow('request:')
    expect(() => signClaimRequest(stranger, chainId, request)).toThrow('deviceKey:')
  })
})

describe('recovery', () => {
  const request = {
    v: 1,
    r: fixed('r').slice(0, 16),
    part: 'guardian' as const,
    index: 2,
    newKey: device.publicKey,
    sealKey: sealKey.publicKey,
    time: NOW,
  }
  const ready = { newKey: device.publicKey, startedMs: NOW, readyMs: NOW + 72 * HOUR }
  const at = (ms: number) => ({ headTimeMs: NOW + ms, clockMs: NOW + ms })

  test('nobody helps before the delay by either clock, after a cancel, or another device', () => {
    expect(mayHelp(ready, request, at(72 * HOUR))).toBe(true)
    expect(mayHelp(ready, request, at(72 * HOUR - 1))).toBe(false)
    expect(mayHelp(ready, request, { ...at(72 * HOUR), headTimeMs: NOW })).toBe(false)
    expect(mayHelp(ready, request, { ...at(72 * HOUR), clockMs: NOW })).toBe(false)
    expect(mayHelp({}, request, at(100 * HOUR))).toBe(false)
    expect(mayHelp(undefined, request, at(100 * HOUR))).toBe(false)
    expect(mayHelp({ ...ready, newKey: stranger.publicKey }, request, at(100 * HOUR))).toBe(false)
  })
  test('a part opens on the new device for this request alone', () => {
    const signedRequest = signShareRequest(device, chainId, request)
    expect(openShareRequest(device.publicKey, chainId, signedRequest)).toEqual(request)
    expect(() => signShareRequest(stranger, chainId, request)).toThrow('newKey:')
    const part = fixed('share')
    const signed = replyToShareRequest({ request, signedRequest, part, key: host, chainId, random })
    const input = { signed, request, signedRequest, helperKey: host.publicKey, key: sealKey, chainId }
    expect(openShareReply(input)).toEqual(part)
    expect(() => openShareReply({ ...input, request: { ...request, index: 3 } })).toThrow('request:')
    expect(() => openShareReply({ ...input, key: otherSeal })).toThrow()
    expect(() => openShareReply({ ...input, helperKey: stranger.publicKey })).toThrow('sig:')
  })
})

describe('receipts', () => {
  const common = { v: 1, org: 'a', sub: fixed('sub'), time: NOW, requestId: fixed('id').slice(0, 16) }
  const receipts = [
    {
      ...common,
      kind: 'erasure' as const,
      method: 'rewritten' as const,
      objects: [fixed('o').slice(0, 16)],
      count: 1,
      keystoreGeneration: 4,
    },
    {
      ...common,
      kind: 'refusal' as const,
      count: 2,
      effect: 'restrict' as const,
      basis: '42 CFR 482.24(b)',
      retainUntil: '2031-11-22',
    },
    {
      ...common,
      kind: 'deletion' as const,
      what: 'hosted-keys' as const,
      method: 'destroyed-in-KMS' as const,
    },
  ]
  test.each(receipts)('$kind comes back under its maker’s key', (receipt) => {
    const signed = signReceipt(host, chainId, receipt)
    expect(openReceipt(host.publicKey, chainId, signed)).toEqual(receipt)
    expect(() => openReceipt(stranger.publicKey, chainId, signed)).toThrow('sig:')
    const { e, c } = erasedArgs(signed, fixed('salt'))
    expect(e).toEqual(sha256(c).slice(0, 16))
  })
})

describe('retention', () => {
  const base = {
    jurisdictions: ['US'],
    lastEntryDay: '2020-02-29',
    createdDay: '2020-02-29',
    today: '2024-01-01',
  }
  test('patient-made data goes; charts are restricted until their day, then go; who looked stays readable', () => {
    expect(erasureEffect({ ...base, dataClass: 'patient-made' })).toEqual({ effect: 'delete' })
    expect(erasureEffect({ ...base, dataClass: 'chart' })).toMatchObject({
      effect: 'restrict',
      retainUntil: '2025-03-01',
    })
    expect(erasureEffect({ ...base, dataClass: 'chart', today: '2025-03-01' })).toEqual({ effect: 'delete' })
    expect(erasureEffect({ ...base, dataClass: 'access-event' })).toMatchObject({
      effect: 'keep',
      retainUntil: '2026-03-01',
    })
  })
  test('of several laws the longest wins, and a refusal can name it', () => {
    const effect = erasureEffect({ ...base, jurisdictions: ['US-MA', 'US'], dataClass: 'chart' })
    expect(effect).toMatchObject({ retainUntil: '2040-02-29' })
    expect('basis' in effect && effect.basis).toContain('M.G.L.')
  })
  test('a place that the table does not know is refused, rather than erased', () => {
    expect(() => erasureEffect({ ...base, jurisdictions: ['XX'], dataClass: 'chart' })).toThrow(
      'jurisdiction:',
    )
  })
  test('property: what the table demands is never destroyed before its day', () => {
    fc.assert(
      fc.property(fc.constantFrom(...RETENTION), fc.integer({ min: 1950, max: 2020 }), (rule, year) => {
        const day = `${year}-06-01`
        const input = {
          jurisdictions: [rule.jurisdiction],
          dataClass: rule.dataClass,
          lastEntryDay: day,
          createdDay: day,
        }
        const until = `${year + rule.years}-06-01`
        expect(erasureEffect({ ...input, today: `${year + rule.years}-05-31` }).effect).not.toBe('delete')
        expect(erasureEffect({ ...input, today: until }).effect).toBe('delete')
        expect(rule.basis.length).toBeGreaterThan(10)
      }),
    )
  })
})
