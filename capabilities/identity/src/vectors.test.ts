import { readFileSync, writeFileSync } from 'node:fs'
import { hash, type Random, sealKeyPair, sha256, signingKey, toHex, utf8 } from '@salus/core'
import { expect, test } from 'vitest'
import { replyToClaim, signClaimRequest } from './claim.ts'
import { credentialId, signCredential } from './credential.ts'
import { signLinkStatement, subOf } from './enrolment.ts'
import { pendingCode, signMatchAnswer, signMatchConfirmation, signMatchRequest } from './matching.ts'
import { erasedArgs, signReceipt } from './receipts.ts'
import { recoveryArgs, replyToShareRequest, signShareRequest } from './recovery.ts'

const fixed = (name: string): Uint8Array => sha256(utf8(name))
const chainId = fixed('chain')
const keys = {
  organisation: signingKey(fixed('key organisation')),
  device: signingKey(fixed('key device')),
  link: signingKey(fixed('key link')),
}
const sealSeed = fixed('device seal')
const NOW = 1_795_348_800_000
const id = (name: string): Uint8Array => fixed(name).slice(0, 16)

function counted(seed: string): Random {
  let count = 0
  return (lengthBytes) => {
    const out = new Uint8Array(lengthBytes)
    for (let at = 0; at < lengthBytes; at += 32) {
      out.set(hash(seed, count++).subarray(0, Math.min(32, lengthBytes - at)), at)
    }
    return out
  }
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}

/** `SALUS_WRITE_VECTORS=1` writes the file anew, which is a change of protocol. */
test('vectors/identity-forms.json', () => {
  const sealKey = sealKeyPair(sealSeed).publicKey
  const credential = signCredential(keys.organisation, chainId, {
    v: 1,
    issuer: 'hospital-b',
    practitioner: 'p-17',
    cnf: keys.device.publicKey,
    roles: ['physician'],
    licence: { authority: 'State Board', number: '4711' },
    until: NOW,
  })
  const claim = {
    v: 1,
    host: 'hospital-a',
    account: id('account'),
    deviceKey: keys.device.publicKey,
    sealKey,
    proofing: { level: 'IAL2' as const, kind: 'id-document' as const },
    time: NOW,
  }
  const signedClaim = signClaimRequest(keys.device, chainId, claim)
  const share = {
    v: 1,
    r: id('r'),
    part: 'home' as const,
    index: 0,
    newKey: keys.device.publicKey,
    sealKey,
    time: NOW,
  }
  const signedShare = signShareRequest(keys.device, chainId, share)
  const common = { v: 1, org: 'hospital-a', sub: fixed('sub'), time: NOW, requestId: id('request') }
  const erasure = signReceipt(keys.organisation, chainId, {
    ...common,
    kind: 'erasure',
    method: 'rewritten',
    objects: [id('oid')],
    count: 1,
    keystoreGeneration: 4,
  })
  const sub = subOf(fixed('secret'), 'hospital-a')
  const at = { chainId, random: counted('identity') }
  const found = {
    source: 'protocol §§2, 6, 7, 9, 11; docs/spec/consent.md. Bytes are hexadecimal.',
    randomness:
      'block i of seed s: SHA-256 of DAG-CBOR [s, i], 32 bytes a block, a new block for every draw; s = identity',
    chainId,
    seeds: { organisation: keys.organisation.seed, device: keys.device.seed, link: keys.link.seed },
    sealSeed,
    credential: { ...credential, salt: fixed('salt'), h: credentialId(fixed('salt'), credential.bytes) },
    link: {
      linkSecret: fixed('secret'),
      ...signLinkStatement(keys.link, chainId, {
        v: 1,
        org: 'hospital-a',
        sub,
        linkKey: keys.link.publicKey,
        home: 'hospital-a',
        time: NOW,
      }),
      sub,
    },
    match: {
      request: signMatchRequest(keys.organisation, chainId, {
        v: 1,
        requestId: id('match'),
        from: 'hospital-b',
        to: 'hospital-a',
        time: NOW,
        person: { family: 'Sample', given: 'Ada', birthDate: '1970-01-01' },
      }),
      confirmation: signMatchConfirmation(keys.organisation, chainId, {
        v: 1,
        requestId: id('match'),
        code: '12345678',
      }),
      pending: pendingCode(id('match'), '12345678', NOW, counted('code')),
      answer: signMatchAnswer(keys.organisation, chainId, {
        v: 1,
        requestId: id('match'),
        answer: 'yes',
        time: NOW,
      }),
    },
    claim: {
      request: signedClaim,
      krk: fixed('krk'),
      reply: replyToClaim({
        request: claim,
        signedRequest: signedClaim,
        krk: fixed('krk'),
        keyringVersion: 3,
        hostKey: keys.organisation,
        ...at,
      }),
    },
    recovery: {
      ledger: recoveryArgs(fixed('plan'), fixed('salt'), keys.device.publicKey),
      request: signedShare,
      part: fixed('part'),
      reply: replyToShareRequest({
        request: share,
        signedRequest: signedShare,
        part: fixed('part'),
        key: keys.organisation,
        ...at,
      }),
    },
    receipts: {
      erasure: { ...erasure, salt: fixed('salt'), ledger: erasedArgs(erasure, fixed('salt')) },
      refusal: signReceipt(keys.organisation, chainId, {
        ...common,
        kind: 'refusal',
        count: 2,
        effect: 'restrict',
        basis: '42 CFR 482.24(b)(1)',
        retainUntil: '2031-11-22',
      }),
      deletion: signReceipt(keys.organisation, chainId, {
        ...common,
        kind: 'deletion',
        what: 'hosted-keys',
        method: 'destroyed-in-KMS',
      }),
    },
  }
  const url = new URL('../../../vectors/identity-forms.json', import.meta.url)
  const text = `${JSON.stringify(plain(found), null, 2)}\n`
  if (process.env['SALUS_WRITE_VECTORS'] === '1') writeFileSync(url, text)
  expect(text).toBe(readFileSync(url, 'utf8'))
})
