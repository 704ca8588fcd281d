import {
  encode,
  formatTlogProof,
  inclusionProof,
  leafHash,
  merkleRoot,
  sealKeyPair,
  sha256,
  signCheckpoint,
  signingKey,
  toBase64url,
  utf8,
} from '@salus/core'
import { memoryNetwork } from '@salus/host'
import { DEFAULT_PARAMS, encodeGenesis } from '@salus/ledger'
import { encodeReceipt, factLogOrigin, type Receipt } from '@salus/log'
import { connect, withToken } from '@salus/sdk'
import { describe, expect, test } from 'vitest'
import { type AccessFacts, encodeEvent, eventLeaf } from '../event.ts'
import { accessLines, compareSides, listAccesses, receiptFor, verifyAccess } from './index.ts'

const fixed = (name: string): Uint8Array => sha256(utf8(name))
const id = (name: string): Uint8Array => fixed(name).slice(0, 16)
const g = id('g')
const NOW = 1_795_348_800_000
const keyOf = (org: string) => signingKey(fixed(`log ${org}`))

const genesis = encodeGenesis({
  v: 1,
  name: 'Test',
  timeMs: NOW,
  engine: 'embedded',
  operator: 'a',
  members: ['a', 'b'].map((org) => ({
    org,
    name: org,
    url: `http://${org}`,
    sign: signingKey(fixed(`sign ${org}`)).publicKey,
    seal: sealKeyPair(fixed(`seal ${org}`)).publicKey,
    log: keyOf(org).publicKey,
  })),
  witnesses: [],
  params: DEFAULT_PARAMS,
  contracts: [{ name: 'governance', version: 1 }],
})
const chain = sha256(genesis)

/** One side's event of a request under the grant. */
function fact(org: 'a' | 'b', seq: number, change: Partial<AccessFacts> = {}): AccessFacts {
  const requestHash = fixed(`request ${seq}`)
  return {
    eventId: id(`${org} ${seq}`),
    kind: org === 'a' ? 'release' : 'receive',
    timeMs: NOW + seq * 1_000,
    outcome: 'permitted',
    reasons: [],
    recorder: { org, node: `http://${org}` },
    custodian: { org: 'a', node: 'http://a' },
    requester: { org: 'b', node: 'http://b', practitioner: 'p-17', as: 'practitioner' },
    purpose: 'TREAT',
    patient: 'Patient/1',
    versions: [{ oid: id('oid'), recordId: 'Observation/o', version: 1 }],
    requestId: id(`id ${seq}`),
    grant: { g, seq, prev: seq === 1 ? new Uint8Array(32) : fixed(`request ${seq - 1}`), requestHash },
    degraded: false,
    ...change,
  }
}

/** An organisation that serves the list and receipts of `facts`, in pages of two. */
function serving(network: ReturnType<typeof memoryNetwork>, org: string, facts: readonly AccessFacts[]) {
  const events = facts.map((each) => ({
    facts: each,
    ...encodeEvent(each),
    salt: fixed(`salt ${org} ${each.timeMs}`),
  }))
  const leaves = events.map(({ salt, digest, facts: { eventId } }) => eventLeaf(salt, eventId, digest))
  const origin = factLogOrigin(chain, org)
  const checkpoint = signCheckpoint({ origin, size: leaves.length, root: merkleRoot(leaves) }, [
    { name: origin, key: keyOf(org) },
  ])
  const receipt = (at: number): Receipt => {
    const { facts: each, digest, salt } = events[at] as (typeof events)[number]
    return {
      v: 1,
      chain,
      kind: 'fact',
      fact: { kind: 2, fields: encode([each.eventId, digest]), salt },
      log: formatTlogProof({ index: at, hashes: inclusionProof(leaves.map(leafHash), at), checkpoint }),
      keys: [{ genesis }],
    }
  }
  network.serve(`http://${org}`, (request) => {
    const url = new URL(request.url)
    if (url.pathname === '/me/accesses') {
      const from = Number(url.searchParams.get('after') ?? 0)
      const page = events.slice(from, from + 2).map((each, at) => ({
        eventId: toBase64url(each.facts.eventId),
        event: toBase64url(each.bytes),
        salt: toBase64url(each.salt),
        leafIndex: from + at,
      }))
      const next = from + 2 < events.length ? from + 2 : null
      return new Response(JSON.stringify({ events: page, next }))
    }
    const at = events.findIndex(({ facts: each }) => url.pathname.includes(toBase64url(each.eventId)))
    return new Response(encodeReceipt(receipt(at)))
  })
  return withToken(connect({ url: `http://${org}`, network }), 'token')
}

describe('who looked, from a device', () => {
  test('lists all pages of both sides as one line an access, each with a receipt of exactly that event', async () => {
    const network = memoryNetwork()
    const a = serving(network, 'a', [fact('a', 1), fact('a', 2), fact('a', 3)])
    const b = serving(network, 'b', [fact('b', 1), fact('b', 2), fact('b', 3)])
    const [custodian, grantee] = await Promise.all([listAccesses(a), listAccesses(b)])
    expect(custodian.map(({ facts }) => facts.grant?.seq)).toEqual([1, 2, 3])
    expect(accessLines(custodian, grantee).map(({ organisation, timeMs }) => [organisation, timeMs])).toEqual(
      [
        ['b', NOW + 3_000],
        ['b', NOW + 2_000],
        ['b', NOW + 1_000],
      ],
    )
    expect(compareSides({ custodian, grantee })).toEqual([])

    const trust = { genesisId: chain }
    for (const access of custodian) {
      const { receipt } = await receiptFor(a, { eventId: access.facts.eventId })
      expect(verifyAccess(access, receipt, trust).status).toBe('logged-not-yet-anchored')
    }
  })

  test('a receipt of another event, of another log, or of a changed event does not pass', async () => {
    const network = memoryNetwork()
    const a = serving(network, 'a', [fact('a', 1), fact('a', 2)])
    const b = serving(network, 'b', [{ ...fact('b', 1), eventId: id('a 1') }])
    const [first, second] = await listAccesses(a)
    const { receipt } = await receiptFor(a, { eventId: id('a 1') })
    const trust = { genesisId: chain }
    const said = (access: typeof first, of: Receipt) => {
      const { status, detail } = verifyAccess(access as NonNullable<typeof first>, of, trust)
      return [status, detail.find(({ holds }) => !holds)?.found]
    }
    expect(said(second, receipt)).toEqual(['invalid', 'fact: is another access'])
    const altered = {
      ...(first as NonNullable<typeof first>),
      bytes: encodeEvent(fact('a', 1, { purpose: 'HPAYMT' })).bytes,
    }
    expect(said(altered, receipt)).toEqual(['invalid', 'fact: commits to another text of this access'])
    const elsewhere = await receiptFor(b, { eventId: id('a 1') })
    const [other] = await listAccesses(b)
    const asIfOfA = { ...(other as NonNullable<typeof other>), facts: { ...fact('a', 1) } }
    expect(said(asIfOfA, elsewhere.receipt)).toEqual([
      'invalid',
      'log: is not that of the organisation that recorded the access',
    ])
    expect(
      said(first, { ...receipt, fact: { ...(receipt.fact as NonNullable<Receipt['fact']>), kind: 1 } })[0],
    ).toBe('invalid')
  })

  test('an access that one side keeps from the list shows, also when both cut off the end', async () => {
    const network = memoryNetwork()
    const custodian = await listAccesses(serving(network, 'a', [fact('a', 1), fact('a', 3)]))
    const grantee = await listAccesses(
      serving(network, 'b', [fact('b', 1), fact('b', 2), fact('b', 3, { versions: [] })]),
    )
    const [alert] = compareSides({ custodian, grantee })
    expect(alert?.findings).toEqual([
      { kind: 'gap', party: 'custodian', seq: 2 },
      { kind: 'missing-at-custodian', seq: 2 },
      { kind: 'other-versions', seq: 3 },
    ])
    const whole = await listAccesses(serving(memoryNetwork(), 'a', [fact('a', 1)]))
    const both = await listAccesses(serving(memoryNetwork(), 'b', [fact('b', 1)]))
    expect(compareSides({ custodian: whole, grantee: both })).toEqual([])
    const counted = [{ g, requests: 2, last: fixed('request 2') }]
    expect(compareSides({ custodian: whole, grantee: both, counted })[0]?.findings).toEqual([
      { kind: 'gap', party: 'custodian', seq: 2 },
    ])
  })

  test('an event under another id than its list says is refused', async () => {
    const network = memoryNetwork()
    const { bytes } = encodeEvent(fact('a', 1))
    const line = {
      eventId: toBase64url(id('other')),
      event: toBase64url(bytes),
      salt: toBase64url(fixed('s')),
      leafIndex: 0,
    }
    network.serve('http://a', () => new Response(JSON.stringify({ events: [line], next: null })))
    await expect(listAccesses(connect({ url: 'http://a', network }))).rejects.toMatchObject({ code: 'AUDIT' })
  })
})
