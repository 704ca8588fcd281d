import { readFileSync, writeFileSync } from 'node:fs'
import { formatCheckpoint, leafHash, merkleRoot, sealKeyPair, signNote, toHex } from '@salus/core'
import { expect, test } from 'vitest'
import { ledgerIdOf } from '../contract/ids.ts'
import {
  chainId,
  controller,
  counted,
  custodianKey,
  fixed,
  granteeKey,
  HOUR,
  keyOf,
  linkKey,
  NOON,
  OWNER,
  replyKey,
  salt,
  sampleGrant,
  sampleLabels,
  sampleRequest,
  sampleSignedRequest,
} from '../testing/sample.ts'
import { decide } from './decide.ts'
import type { DecisionState, Labels } from './decision.ts'
import { delegateArgs, encodeMandate, signMandate } from './delegation.ts'
import { encodeDeposit, makeDeposit } from './deposit.ts'
import { emergencyArgs, encodeEmergencyStatement, signAsStaff, signEmergencyRequest } from './emergency.ts'
import { shownHashOf, signPreview } from './preview.ts'
import { openingLeaf, replyInfo, sealReply, signRefusal } from './release-reply.ts'
import type { ReleaseRequest } from './release-request.ts'
import { termsText } from './template.ts'
import type { Terms } from './terms.ts'
import { grantArgs, sealForCustodian, sealForGrantee, signAcceptance, termsHashOf } from './terms-link.ts'

/** Bytes as hexadecimal, everything else as it is. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [name, plain(member)]),
  )
}

/** Compares with the file; `SALUS_WRITE_VECTORS=1` writes it anew, which is a change of protocol. */
function expectVectors(name: string, found: object): void {
  const url = new URL(`../../../vectors/${name}.json`, import.meta.url)
  const text = `${JSON.stringify(plain(found), null, 2)}\n`
  if (process.env['SALUS_WRITE_VECTORS'] === '1') writeFileSync(url, text)
  expect(text).toBe(readFileSync(url, 'utf8'))
}

const signingKeys = {
  controller,
  link: linkKey,
  custodian: custodianKey,
  grantee: granteeKey,
  staff: keyOf('staff'),
}
const seeds = Object.fromEntries(Object.entries(signingKeys).map(([name, { seed }]) => [name, seed]))

test('vectors/consent-forms.json', () => {
  const { terms, carried } = sampleGrant({
    scope: { compartments: ['labs', 'medication'], filter: { from: '2015-01-01', types: ['Observation'] } },
    masks: ['Observation.note'],
  })
  const g = terms.g
  const seal = { custodian: sealKeyPair(fixed('seal a')), grantee: sealKeyPair(fixed('seal b')) }
  const { signed: request, requestHash } = sampleSignedRequest()
  const termsHash = termsHashOf(carried.terms)
  const opening = { eventId: fixed('event').slice(0, 16), event: requestHash, salt: fixed('leaf salt') }
  const leaf = openingLeaf(opening)
  const origin = 'hospital-a.example/log'
  const checkpoint = signNote(formatCheckpoint({ origin, size: 1, root: merkleRoot([leaf]) }), [
    { name: origin, key: keyOf('log') },
  ])
  const content = {
    v: 1,
    items: [
      { kind: 'dek' as const, oid: fixed('oid').slice(0, 16), dek: fixed('dek'), address: fixed('address') },
    ],
    opening: { ...opening, proof: [], checkpoint },
    leaseUntil: NOON + HOUR,
  }
  const reply = sealReply({
    request: sampleRequest(),
    requestHash,
    termsHash,
    leafIndex: 0,
    content,
    key: custodianKey,
    chainId,
    random: counted('reply'),
  })
  const mandateKey = keyOf('parent delegation')
  const mandate = {
    v: 1,
    d: ledgerIdOf(mandateKey.publicKey),
    scope: { compartments: ['general' as const, 'labs' as const], actions: ['read' as const] },
    until: NOON + 24 * HOUR,
    evidence: { kind: 'parental-responsibility' as const },
  }
  const signedMandate = signMandate({ mandate, salt: fixed('mandate salt'), controller: mandateKey, chainId })
  const deposit = makeDeposit({
    chainId,
    g,
    termsHash,
    objects: [{ oid: fixed('oid').slice(0, 16), dek: fixed('dek') }],
    granteeSealKey: seal.grantee.publicKey,
    nodes: [{ org: 'hospital-c', sealKey: seal.custodian.publicKey }],
    random: counted('deposit'),
  })
  const statement = encodeEmergencyStatement({
    v: 1,
    org: 'hospital-b',
    practitioner: 'p-17',
    credential: fixed('credential'),
    reason: 'unconscious',
    time: NOON,
    until: NOON + 4 * HOUR,
  })
  const emergency = emergencyArgs(statement, salt)
  const emergencyRequest = signEmergencyRequest(granteeKey, chainId, {
    v: 1,
    b: emergency.b,
    requestId: fixed('id').slice(0, 16),
    time: NOON,
    actor: { org: 'hospital-b', practitioner: 'p-17' },
    credential: fixed('credential'),
    statement,
    salt,
    patient: { kind: 'locator', locator: fixed('locator') },
    replyKey: replyKey.publicKey,
    suite: 1,
  })
  const packageAt = { chainId, g }
  expectVectors('consent-forms', {
    source:
      'protocol §§4, 6; docs/spec/consent.md. Bytes are hexadecimal. Sealed forms use the random bytes of `randomness`.',
    randomness: 'block i of seed s: SHA-256 of DAG-CBOR [s, i], 32 bytes a block, a new block for every draw',
    chainId,
    seeds,
    sealSeeds: { custodian: fixed('seal a'), grantee: fixed('seal b'), reply: fixed('reply') },
    terms: {
      bytes: carried.terms,
      hash: termsHash,
      text: termsText(terms),
      textHash: terms.textHash,
      salt,
      ledger: grantArgs(carried.terms, salt),
      link: carried.link.sig,
    },
    packages: {
      custodian: sealForCustodian(
        { v: 1, terms: carried.terms, salt, link: carried.link },
        { ...packageAt, to: seal.custodian.publicKey, random: counted('custodian package') },
      ),
      grantee: sealForGrantee(
        { v: 1, terms: carried.terms, salt },
        { ...packageAt, to: seal.grantee.publicKey, random: counted('grantee package') },
      ),
    },
    acceptance: signAcceptance(granteeKey, chainId, {
      v: 1,
      g,
      terms: termsHash,
      org: 'hospital-b',
      time: NOON,
    }),
    request: { ...request, hash: requestHash },
    reply: {
      ...reply,
      info: replyInfo({ g, termsHash, requestHash, leafIndex: 0, suite: 1 }),
      openingLeaf: leaf,
      openingLeafHash: leafHash(leaf),
    },
    refusal: signRefusal(custodianKey, chainId, { v: 1, request: requestHash, code: 'DENIED' }),
    deposit: {
      bytes: encodeDeposit(deposit.deposit),
      forGrantee: deposit.forGrantee,
      forNodes: deposit.forNodes,
    },
    mandate: { bytes: encodeMandate(mandate), signed: signedMandate, ledger: delegateArgs(signedMandate) },
    emergency: {
      statement,
      ledger: emergency,
      request: emergencyRequest,
      staff: signAsStaff(signingKeys.staff, chainId, fixed('credential'), requestHash),
    },
    preview: signPreview(custodianKey, chainId, {
      v: 1,
      custodian: 'hospital-a',
      terms: termsHash,
      n: 1,
      m: 2,
      shown: shownHashOf([fixed('oid').slice(0, 16)]),
      byCompartment: [{ compartment: 'labs', n: 1, m: 2 }],
      headHeight: 7,
      time: NOON,
    }),
  })
})

test('vectors/decide.json', () => {
  type Change = {
    terms?: Parameters<typeof sampleGrant>[0]
    request?: Partial<ReleaseRequest>
    state?: Partial<DecisionState>
    labels?: Partial<Labels>
  }
  const scope = (filter: NonNullable<Terms['scope']['filter']>): Change['terms'] => ({
    scope: { compartments: ['labs'], filter },
  })
  const changes: [string, Change][] = [
    ['permitted', {}],
    ['another category', { labels: { compartment: 'mental' } }],
    ['another type', { terms: scope({ types: ['Condition'] }) }],
    ['no wanted code', { terms: scope({ codes: [{ system: 'http://loinc.org', code: '1-1' }] }) }],
    ['before the first day', { terms: scope({ from: '2026-11-01' }) }],
    ['after the last day', { terms: scope({ to: '2020-12-31' }) }],
    ['no date where dates are asked', { terms: scope({ from: '1900-01-01' }), labels: { dates: undefined } }],
    ['another record', { terms: scope({ records: ['Observation/x'] }) }],
    ['another patient', { labels: { owner: 'owner-2' } }],
    ['of the organisation', { labels: { owner: undefined } }],
    ['restricted', { labels: { restricted: true } }],
    ['ended by the clock', { state: { clockMs: NOON + HOUR }, request: { time: NOON + HOUR } }],
    ['stale head', { state: { head: { height: 1, timeMs: NOON - HOUR } } }],
    ['withdrawn on sight', { state: { revokedOnSight: true } }],
    ['forked log, treatment', { state: { log: 'forked' } }],
    [
      'forked log, payment',
      { terms: { purpose: 'HPAYMT' }, request: { purpose: 'HPAYMT' }, state: { log: 'forked' } },
    ],
    ['another purpose', { request: { purpose: 'ETREAT' } }],
    ['another unit', { request: { actor: { org: 'hospital-b', unit: 'billing', practitioner: 'p-17' } } }],
    ['suspended credential', { state: { credential: { issuer: 'hospital-b', status: 'suspended' } } }],
    ['lower suite', { request: { suite: 0 } }],
    [
      'repeated request',
      { state: { usage: { requestsLastHour: 1, versionsLastHour: 1, lastSeq: 1, lastRequest: fixed('r') } } },
    ],
  ]
  const cases = changes.map(([name, change]) => {
    const { carried, state } = sampleGrant(change.terms, change.state)
    const request = sampleRequest(change.request)
    const labels = sampleLabels(change.labels)
    const decision = decide(request, carried, state, labels)
    const { replyKey: _, ...shown } = request
    return { name, request: shown, carried, state, labels, decision }
  })
  expect(cases.filter(({ decision }) => decision.permit).map(({ name }) => name)).toEqual([
    'permitted',
    'forked log, treatment',
  ])
  expect(cases.every(({ state }) => state.links[0]?.owner === OWNER)).toBe(true)
  expectVectors('decide', {
    source:
      'protocol §4; docs/spec/consent.md. Bytes are hexadecimal; requests are shown without replyKey, which no rule looks at.',
    cases,
  })
})
