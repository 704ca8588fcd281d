import { sealKeyPair } from '@salus/core'
import { describe, expect, test } from 'vitest'
import { chainId, counted, fixed } from '../testing/sample.ts'
import {
  type Deposit,
  decodeDeposit,
  depositShare,
  encodeDeposit,
  makeDeposit,
  openDepositEntry,
  openGranteeSecret,
  openNodeSecret,
} from './deposit.ts'

const g = fixed('g').slice(0, 16)
const termsHash = fixed('terms')
const grantee = sealKeyPair(fixed('grantee'))
const stores = ['hospital-c', 'hospital-d'].map((org) => ({ org, key: sealKeyPair(fixed(org)) }))
const objects = ['1', '2', '3'].map((name) => ({
  oid: fixed(`oid ${name}`).slice(0, 16),
  dek: fixed(`dek ${name}`),
}))
const entryAt = (deposit: Deposit, i: number) => deposit.entries[i] as Deposit['entries'][number]
const objectAt = (i: number) => objects[i] as (typeof objects)[number]

function make(count: 1 | 2) {
  const nodes = stores.slice(0, count)
  const made = makeDeposit({
    chainId,
    g,
    termsHash,
    objects,
    granteeSealKey: grantee.publicKey,
    nodes: nodes.map(({ org, key }) => ({ org, sealKey: key.publicKey })),
    random: counted('deposit'),
  })
  const gs = openGranteeSecret(grantee, termsHash, made.forGrantee)
  const rs = made.forNodes.map(({ org, sealed }, i) => {
    const key = nodes[i]?.key ?? grantee
    return openNodeSecret({ key, chainId, g, termsHash, org, sealed })
  })
  return { ...made, gs, rs }
}

describe.each([1, 2] as const)('a deposit with %i storing nodes', (count) => {
  const { deposit, gs, rs, forNodes } = make(count)
  const sharesFor = (oid: Uint8Array) => rs.map((secret) => depositShare(secret, oid))

  test('opens object by object with the share of every node', () => {
    expect(decodeDeposit(encodeDeposit(deposit))).toEqual(deposit)
    objects.forEach(({ oid, dek }, i) => {
      expect(openDepositEntry({ g, entry: entryAt(deposit, i), gs, shares: sharesFor(oid) })).toEqual(dek)
    })
  })

  test('a share opens its own object alone; nothing opens without every share, gs or the grant', () => {
    const entry = entryAt(deposit, 0)
    const shares = sharesFor(objectAt(0).oid)
    const fails = (change: object) => () => openDepositEntry({ g, entry, gs, shares, ...change })
    expect(fails({ shares: sharesFor(objectAt(1).oid) })).toThrow()
    expect(fails({ shares: shares.slice(1) })).toThrow()
    expect(fails({ shares: [] })).toThrow()
    expect(fails({ gs: fixed('x') })).toThrow()
    expect(fails({ g: fixed('x').slice(0, 16) })).toThrow()
    // Entries cannot be swapped between objects.
    expect(fails({ entry: { oid: objectAt(1).oid, entry: entry.entry } })).toThrow()
  })

  test('a node’s secret opens for that node and these terms alone', () => {
    const sealed = forNodes[0]?.sealed ?? new Uint8Array(0)
    const key = stores[0]?.key ?? grantee
    expect(() =>
      openNodeSecret({ key, chainId, g, termsHash: fixed('x'), org: 'hospital-c', sealed }),
    ).toThrow()
    expect(() => openNodeSecret({ key, chainId, g, termsHash, org: 'hospital-d', sealed })).toThrow()
  })
})

test('no node or three nodes are refused', () => {
  const base = { chainId, g, termsHash, objects, granteeSealKey: grantee.publicKey, random: counted('x') }
  expect(() => makeDeposit({ ...base, nodes: [] })).toThrow('nodes:')
})
