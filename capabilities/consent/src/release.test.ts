import {
  equal,
  formatCheckpoint,
  inclusionProof,
  leafHash,
  merkleRoot,
  openSealed,
  sealKeyPair,
  signNote,
  utf8,
  verifierKey,
} from '@salus/core'
import { describe, expect, test } from 'vitest'
import {
  chainId,
  counted,
  custodianKey,
  fixed,
  granteeKey,
  keyOf,
  NOON,
  replyKey,
  sampleRequest,
  sampleSignedRequest,
} from '../testing/sample.ts'
import { refusalOf } from './refusal.ts'
import {
  openingLeaf,
  openRefusal,
  openReply,
  type ReleaseContent,
  replyInfo,
  sealReply,
  signRefusal,
} from './release-reply.ts'
import { openRequest, type ReleaseRequest, signRequest } from './release-request.ts'

const logKey = keyOf('log')
const origin = 'hospital-a.example/log'
const log = { origin, key: verifierKey(origin, logKey.publicKey) }
const termsHash = fixed('terms')
const oid = fixed('oid').slice(0, 16)

/** A reply in order, and a hand on everything that an attacker might change. */
function reply(
  change: { request?: ReleaseRequest; content?: Partial<ReleaseContent>; leafIndex?: number } = {},
) {
  const request = change.request ?? sampleRequest()
  const { requestHash } = sampleSignedRequest(request)
  const opening = { eventId: fixed('event').slice(0, 16), event: requestHash, salt: fixed('leaf salt') }
  const leaves = [utf8('before'), openingLeaf(opening), utf8('after')]
  const hashes = leaves.map(leafHash)
  const checkpoint = signNote(formatCheckpoint({ origin, size: 3, root: merkleRoot(leaves) }), [
    { name: origin, key: logKey },
  ])
  const content: ReleaseContent = {
    v: 1,
    items: [{ kind: 'dek', oid, dek: fixed('dek'), address: fixed('address') }],
    opening: { ...opening, proof: inclusionProof(hashes, 1).map((h) => h), checkpoint },
    leaseUntil: NOON + 1,
    ...change.content,
  }
  const signed = sealReply({
    request,
    requestHash,
    termsHash,
    leafIndex: change.leafIndex ?? 1,
    content,
    key: custodianKey,
    chainId,
    random: counted('reply'),
  })
  const expected = {
    request,
    requestHash,
    termsHash,
    replyKey,
    custodianKey: custodianKey.publicKey,
    log,
    chainId,
    requestHashIn: (event: Uint8Array) => event,
  }
  return { signed, content, expected }
}

describe('a request', () => {
  const open = { org: 'hospital-b', orgKey: granteeKey.publicKey, chainId }
  test('comes back as signed, and only under the key and name of its organisation', () => {
    const { signed } = sampleSignedRequest()
    expect(openRequest(signed, open)).toEqual(sampleRequest())
    expect(() => openRequest(signed, { ...open, orgKey: custodianKey.publicKey })).toThrow('sig:')
    expect(() => openRequest(signed, { ...open, chainId: fixed('chain 2') })).toThrow('sig:')
    expect(() => openRequest(signed, { ...open, org: 'hospital-c' })).toThrow('actor.org:')
  })
  test('changed in any byte is refused', () => {
    const { signed } = sampleSignedRequest()
    for (let at = 0; at < signed.bytes.length; at += 7) {
      const bytes = signed.bytes.slice()
      bytes[at] = (bytes[at] as number) ^ 1
      expect(() => openRequest({ ...signed, bytes }, open)).toThrow('sig:')
    }
  })
  test('names versions or a query, never both or neither', () => {
    const sign = (change: Partial<ReleaseRequest>) => () =>
      signRequest(granteeKey, chainId, sampleRequest(change))
    const { oids: _, ...bare } = sampleRequest()
    expect(sign({ action: 'search' })).toThrow('query:')
    expect(sign({ query: 'Observation?code=x' })).toThrow('oids:')
    expect(() => signRequest(granteeKey, chainId, bare)).toThrow('oids:')
    expect(sign({ seq: 0 })).toThrow('seq:')
    expect(sign({ oids: Array.from({ length: 1_001 }, () => oid) })).toThrow('oids:')
  })
})

describe('a reply', () => {
  test('opens, with the opening proven in the custodian’s log', () => {
    const { signed, content, expected } = reply()
    expect(openReply(signed, expected)).toEqual({ ...content, leafIndex: 1 })
  })

  test('attack: transplant: to another request, terms, grant, key or chain it does not open', () => {
    const { signed, expected } = reply()
    expect(() => openReply(signed, { ...expected, requestHash: fixed('x') })).toThrow('request:')
    expect(() => openReply(signed, { ...expected, termsHash: fixed('x') })).toThrow()
    const g = fixed('x').slice(0, 16)
    expect(() => openReply(signed, { ...expected, request: sampleRequest({ g }) })).toThrow('g:')
    expect(() => openReply(signed, { ...expected, replyKey: sealKeyPair(fixed('x')) })).toThrow()
    expect(() => openReply(signed, { ...expected, custodianKey: granteeKey.publicKey })).toThrow('sig:')
    expect(() => openReply(signed, { ...expected, chainId: fixed('x') })).toThrow('sig:')
  })

  test('attack: suite downgrade: another suite than asked for is refused and bound by the seal', () => {
    const { signed, expected } = reply()
    expect(() => openReply(signed, { ...expected, request: sampleRequest({ suite: 2 }) })).toThrow('suite:')
    const inputs = { g: expected.request.g, termsHash, requestHash: expected.requestHash, leafIndex: 1 }
    expect(equal(replyInfo({ ...inputs, suite: 1 }), replyInfo({ ...inputs, suite: 0 }))).toBe(false)
    expect(() =>
      openSealed({ key: replyKey, info: replyInfo({ ...inputs, suite: 0 }), sealed: signed.bytes }),
    ).toThrow()
  })

  test('whose opening is not in the log, in another log, or names another request, is refused before use', () => {
    const { content, expected } = reply()
    const proofless = reply({ content: { opening: { ...content.opening, proof: [] } } })
    expect(() => openReply(proofless.signed, expected)).toThrow('proof:')
    const elsewhere = reply({ leafIndex: 2 })
    expect(() => openReply(elsewhere.signed, expected)).toThrow('proof:')
    const resalted = reply({ content: { opening: { ...content.opening, salt: fixed('x') } } })
    expect(() => openReply(resalted.signed, expected)).toThrow('proof:')
    const { signed } = reply()
    expect(() => openReply(signed, { ...expected, log: { ...log, origin: 'other' } })).toThrow('checkpoint:')
    const stranger = { origin, key: verifierKey(origin, keyOf('x').publicKey) }
    expect(() => openReply(signed, { ...expected, log: stranger })).toThrow()
    expect(() => openReply(signed, { ...expected, requestHashIn: () => fixed('x') })).toThrow('event:')
    expect(() => openReply(signed, { ...expected, requestHashIn: () => undefined })).toThrow('event:')
  })

  test('with a version nobody asked for, or one twice, is refused', () => {
    const item = {
      kind: 'dek' as const,
      oid: fixed('other').slice(0, 16),
      dek: fixed('dek'),
      address: fixed('address'),
    }
    const more = reply({ content: { items: [item] } })
    expect(() => openReply(more.signed, more.expected)).toThrow('items:')
    const own = { ...item, oid }
    const twice = reply({ content: { items: [own, { kind: 'view', oid, view: '{}' }] } })
    expect(() => openReply(twice.signed, twice.expected)).toThrow('items:')
  })
})

describe('a refusal', () => {
  test('is signed and says no more than the asker may know', () => {
    const refusal = { v: 1, request: fixed('r'), code: 'DENIED' as const, leafIndex: 4 }
    const signed = signRefusal(custodianKey, chainId, refusal)
    expect(openRefusal(custodianKey.publicKey, chainId, signed)).toEqual(refusal)
    expect(() => openRefusal(granteeKey.publicKey, chainId, signed)).toThrow('sig:')
    expect(refusalOf(['COMPARTMENT'])).toBe('DENIED')
    expect(refusalOf(['NOT_HERS'])).toBe('DENIED')
    expect(refusalOf(['RESTRICTED'])).toBe('DENIED')
    expect(refusalOf(['LEDGER_STALE'])).toBe('LEDGER_STALE')
    // Staleness must not tell that the rest would have been permitted.
    expect(refusalOf(['LEDGER_STALE', 'COMPARTMENT'])).toBe('DENIED')
    expect(refusalOf([])).toBe('DENIED')
  })
})
