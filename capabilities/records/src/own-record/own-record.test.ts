import {
  batchReceiver,
  decodeVersion,
  equal,
  fromUtf8,
  openObject,
  readHeader,
  sealKeyPair,
  sha256,
  toBase64url,
  toHex,
  unwrapKey,
  utf8,
} from '@salus/core'
import { compartmentKey, newKeyring } from '@salus/keys'
import type { Holder, Route } from '@salus/server'
import { beforeEach, expect, test } from 'vitest'
import { CHAIN_ID, glucose, type House, openHouse, patient } from '../../testing/house.ts'
import { sealOwnEntry } from '../client/index.ts'
import { ownLeafSalt } from '../client/patient-made.ts'
import { Erasure } from '../erasure/erasure.ts'
import { versionLeaf } from '../ingest/seal-version.ts'
import { ownRoutes } from './own-routes.ts'
import { storeOwnVersion } from './patient-made.ts'

let house: House
let told: { kind: string; count: number }[]

beforeEach(async () => {
  house = await openHouse()
  told = []
  await house.take(patient('p1'), glucose('o1', 'p1'), patient('p2'))
})

const holder = (id = 'p1', delegation?: Uint8Array): Holder => ({
  kind: 'holder',
  owner: house.owner(id).owner,
  linkKey: new Uint8Array(32),
  ...(delegation === undefined ? {} : { delegation }),
})

async function call(method: string, path: string, body: unknown, actor = holder()) {
  const receipts = { erased: async () => RECEIPT, refused: async () => RECEIPT }
  const erasure = new Erasure({
    ...house,
    receipts,
    retention: () => ({ effect: 'delete' }),
    endGrants: async () => undefined,
    summariesGone: () => undefined,
  })
  const parts = {
    ...house,
    org: 'a',
    chainId: CHAIN_ID,
    target: () => undefined,
    erasure,
    receiptsOf: async () => [],
    logOwn: async (_holder: Holder, act: { kind: string; count: number }) => void told.push(act),
  }
  const found = ownRoutes(parts).find((each: Route) => each.method === method && each.path === path)
  return found?.handle({ actor, params: {}, query: {}, headers: {}, body: body as never, requestId: '' })
}

const RECEIPT = { bytes: utf8('receipt'), sig: new Uint8Array(64), salt: new Uint8Array(32).fill(7) }

function entry(version = 1) {
  const keyring = newKeyring({ random: house.random, nowMs: 0 })
  const json = utf8('{"resourceType":"Observation","id":"mine","note":[{"text":"slept badly"}]}')
  const record = new Uint8Array(16).fill(7)
  const form = sealOwnEntry(
    { record, recordId: 'Observation/mine', version, json },
    { keyring, chainId: CHAIN_ID, random: house.random },
  )
  return { keyring, json, form }
}

test('what she makes is stored, logged, and opens with her keys alone', async () => {
  const { keyring, json, form } = entry()
  const answer = await call('POST', '/me/records', form)
  expect(answer?.status).toBe(201)
  expect(told).toEqual([{ kind: 'store', count: 1 }])
  const { header, headerHash } = readHeader(form.object)
  const row = house.custody.version(header.oid)
  if (row?.batch === undefined) throw new Error('not stored')
  expect(row.custodyWrap).toBeUndefined()
  await expect(house.reader.open(row)).rejects.toThrow('cannot read it')

  const batch = house.custody.batch(row.batch)
  const object = await house.vault.get(row.address)
  if (batch === undefined || object === undefined) throw new Error('not stored')
  const { comp, epoch, enc } = batch
  const kek = batchReceiver({
    key: sealKeyPair(compartmentKey(keyring.sections, comp, epoch)?.seed as Uint8Array),
    enc,
    chainId: CHAIN_ID,
    comp,
    epoch,
    batchId: row.batch,
  })
  const dek = unwrapKey({ kek, wrap: row.ownerWrap as Uint8Array, oid: row.oid, headerHash, use: 'owner' })
  const opened = decodeVersion(openObject(object, dek))
  expect(fromUtf8(opened.json)).toBe(fromUtf8(json))
  const leaf = versionLeaf(ownLeafSalt(dek), {
    recordId: opened.recordId,
    version: 1,
    digest: sha256(opened.json),
  })
  expect(equal(house.log.leaves[row.leafIndex] as Uint8Array, leaf)).toBe(true)
})

test('nobody else is told of it: no grant, no search, no export', async () => {
  await call('POST', '/me/records', entry().form)
  const { owner } = house.owner('p1')
  const { oid } = readHeader(entry().form.object).header
  expect(house.source.byOids(owner, [oid])).toEqual([])
  expect(
    house.source
      .current(owner)
      .map(({ labels }) => labels.recordId)
      .sort(),
  ).toEqual(['Observation/o1', 'Patient/p1'])
  expect((await house.source.search(owner, '*')).versions).toHaveLength(2)
  const exported = await call('GET', '/me/export', undefined)
  expect(JSON.parse(String(exported?.raw?.body)).versions).toHaveLength(2)
})

test('repeating is harmless; another order, another owner’s ids and malformed objects are refused', async () => {
  const { form } = entry()
  await call('POST', '/me/records', form)
  await call('POST', '/me/records', form)
  expect(house.custody.countVersions(house.owner('p1').owner)).toBe(3)
  await expect(call('POST', '/me/records', entry(1).form)).rejects.toThrow('not the next one')
  await expect(call('POST', '/me/records', entry(3).form)).rejects.toThrow('not the next one')
  await call('POST', '/me/records', entry(2).form)
  await expect(call('POST', '/me/records', form, holder('p2'))).rejects.toThrow('in use')
  await expect(
    call('POST', '/me/records', { ...entry().form, batch: form.batch }, holder('p2')),
  ).rejects.toThrow('in use')
  await expect(
    storeOwnVersion(house, house.owner('p1').owner, { ...form, object: new Uint8Array(100) }),
  ).rejects.toThrow()
  expect(house.custody.countVersions(house.owner('p1').owner)).toBe(4)
})

test('an entry can be wrapped again by her, the custodian’s versions cannot', async () => {
  const { form } = entry()
  await call('POST', '/me/records', form)
  const { oid } = readHeader(form.object).header
  const wrap = {
    oid,
    batch: house.random(16),
    enc: house.random(1_120),
    comp: house.random(16),
    epoch: 2,
    wrap: house.random(60),
  }
  await call('PUT', '/me/wraps', { wraps: [wrap] })
  expect(house.custody.version(oid)).toMatchObject({ epoch: 2, ownerWrap: wrap.wrap })
  expect(house.custody.batches(house.owner('p1').owner).map(({ batch }) => toHex(batch))).toEqual([
    toHex(wrap.batch),
  ])
  const theirs = house.source.current(house.owner('p1').owner)[0]
  if (theirs === undefined) throw new Error('unreachable')
  await expect(call('PUT', '/me/wraps', { wraps: [{ ...wrap, oid: theirs.oid }] })).rejects.toThrow(
    'no version that you made',
  )
  await expect(call('PUT', '/me/wraps', { wraps: [wrap] }, holder('p2'))).rejects.toThrow(
    'no version that you made',
  )
})

test('a delegate decides nothing of this', async () => {
  const carer = holder('p1', new Uint8Array(16))
  for (const [method, path] of [
    ['POST', '/me/records'],
    ['PUT', '/me/wraps'],
    ['GET', '/me/export'],
    ['POST', '/me/import'],
    ['POST', '/me/erase'],
  ] as const)
    await expect(call(method, path, {}, carer)).rejects.toThrow('only the owner herself')
  expect(told).toEqual([])
})

test('export, erase, import elsewhere: she leaves with everything', async () => {
  const exported = await call('GET', '/me/export', undefined)
  await call('POST', '/me/records', entry().form)
  const erased = await call('POST', '/me/erase', {})
  expect(erased?.json).toMatchObject({
    destroyed: 3,
    restricted: 0,
    receipts: [{ bytes: toBase64url(RECEIPT.bytes), salt: toBase64url(RECEIPT.salt) }],
  })
  await expect(call('POST', '/me/import', utf8('{}'))).rejects.toThrow('enrol first')
  const text = String(exported?.raw?.body)
  house = await openHouse({ seed: 5 })
  house.custody.addOwner({ owner: house.random(16), rid: house.random(16), kind: 'patient', status: 'self' })
  const owner = house.custody.owners()[0]?.owner as Uint8Array
  const there = await call('POST', '/me/import', utf8(text), {
    kind: 'holder',
    owner,
    linkKey: new Uint8Array(32),
  })
  expect(there?.json).toMatchObject({ imported: 2, origins: ['a'] })
  expect(told.map(({ kind }) => kind)).toEqual(['export', 'store', 'erase', 'import'])
  expect(house.owner('p1').owner).toEqual(owner)
})
