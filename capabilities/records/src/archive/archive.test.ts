import { AppError, fromUtf8, toHex } from '@salus/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  CHAIN_ID,
  encounter,
  glucose,
  type House,
  medication,
  openHouse,
  patient,
} from '../../testing/house.ts'
import type { OwnerRow } from '../custody/rows.ts'
import { rotateOwnerKeys } from '../erasure/rotation.ts'
import { storeGenerated } from '../ingest/generated.ts'
import { archiveText, mergedArchive, readArchive } from './archive-format.ts'
import { exportArchive } from './export-archive.ts'
import { importArchive } from './import-archive.ts'

const receipt = { v: 1, kind: 'fact', log: 'text of a proof', fact: { kind: 1, salt: 'AAAA' } }

async function exported(house: House, org: string, id = 'p1'): Promise<string> {
  const parts = {
    ...house,
    org,
    chainId: CHAIN_ID,
    receiptsOf: async () => (org === 'c' ? [] : [{ ...receipt, org }]),
  }
  return (await exportArchive(parts, house.owner(id).owner)).text
}

/** An owner who came with a link of her own and has no record yet. */
function newcomer(house: House): OwnerRow {
  const row = {
    owner: house.random(16),
    rid: house.random(16),
    kind: 'patient' as const,
    status: 'self' as const,
  }
  house.custody.addOwner(row)
  return house.custody.owner(row.owner) as OwnerRow
}

const partsOf = (house: House, org: string) => ({ ...house, org, chainId: CHAIN_ID, target: () => undefined })

const facts = (text: string) =>
  readArchive(text).versions.map(
    ({ recordId, version, current, origin, oid, json, digest, salt, leafIndex, prev, deleted, source }) => ({
      recordId,
      version,
      current,
      origin,
      deleted,
      oid: toHex(oid),
      json: fromUtf8(json),
      digest: toHex(digest),
      salt: toHex(salt ?? new Uint8Array()),
      prev: toHex(prev ?? new Uint8Array()),
      source: toHex(source ?? new Uint8Array()),
      leafIndex,
    }),
  )

test('property: export, merge, import, export: every version is byte for byte what it was, with its origin', async () => {
  const version = fc.record({
    id: fc.constantFrom('o1', 'o2', 'o3'),
    value: fc.constantFrom(1, 2.5, 7),
    at: fc.constantFrom('a', 'b'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(version, { maxLength: 10 }), async (writes) => {
      const [a, b, c] = [
        await openHouse({ seed: 1 }),
        await openHouse({ seed: 2 }),
        await openHouse({ seed: 3 }),
      ]
      await a.take(patient('p1'), encounter('e1', 'p1'))
      await b.take(patient('p1', { gender: 'unknown' }), medication('m1', 'p1'))
      for (const { id, value, at } of writes) await (at === 'a' ? a : b).take(glucose(id, 'p1', value))
      const merged = mergedArchive(
        [readArchive(await exported(a, 'a')), readArchive(await exported(b, 'b'))],
        '2026-11-22T00:00:00.000Z',
      )
      const text = archiveText(merged)
      const owner = newcomer(c)
      const report = await importArchive(partsOf(c, 'c'), owner, text)
      expect(report).toMatchObject({
        imported: merged.versions.length,
        unchanged: 0,
        rejected: [],
        receipts: 2,
      })
      expect(facts(await exported(c, 'c'))).toEqual(facts(text))
      expect(readArchive(await exported(c, 'c')).receipts).toEqual(
        expect.arrayContaining([...merged.receipts]),
      )
      const again = await importArchive(partsOf(c, 'c'), c.owner('p1'), text)
      expect(again).toMatchObject({ unchanged: merged.versions.length, receipts: 0 })
      // Both organisations' Patient are hers, and each current record is found by a search.
      const hits = async (query: string) => (await c.search.find(owner.owner, query)).rows.length
      expect(await hits('Patient?_id=p1')).toBe(2)
      expect(await hits('Observation?code=2339-0')).toBe(
        new Set(writes.map(({ id, at }) => `${at} ${id}`)).size,
      )
    }),
    { numRuns: 15 },
  )
})

test('the file reads as FHIR too, with the digits as they were', async () => {
  const house = await openHouse()
  const text = JSON.stringify({
    resourceType: 'Bundle',
    type: 'collection',
    entry: [{ resource: patient('p1') }, { resource: glucose('o1', 'p1', 6.5) }],
  })
  await house.ingest.importFile({ name: 'x.json', text: text.replace('6.5', '6.50') })
  const archive = await exported(house, 'a')
  const { bundle } = JSON.parse(archive)
  expect(bundle).toMatchObject({ resourceType: 'Bundle', type: 'collection' })
  expect(bundle.entry.map(({ fullUrl }: { fullUrl: string }) => fullUrl)).toEqual([
    'urn:salus:a:Observation:o1',
    'urn:salus:a:Patient:p1',
  ])
  expect(archive).toContain('"value":6.50')
})

test('an id that is somebody else’s here stays theirs', async () => {
  const [a, c] = [await openHouse({ seed: 1 }), await openHouse({ seed: 3 })]
  await a.take(patient('p1'), glucose('o1', 'p1', 1))
  await c.take(patient('p1'), patient('p9'), glucose('o1', 'p9', 2))
  const owner = newcomer(c)
  expect(await importArchive(partsOf(c, 'c'), owner, await exported(a, 'a'))).toMatchObject({
    imported: 2,
    rejected: [],
  })
  expect(c.custody.versions(owner.owner)).toHaveLength(2)
  expect(c.owner('p1').owner).not.toEqual(owner.owner)
  expect((await c.search.find(c.owner('p9').owner, 'Observation?value-quantity=2')).rows).toHaveLength(1)
  expect((await c.search.find(owner.owner, 'Observation?value-quantity=1')).rows).toHaveLength(1)
})

test('kept receipts and origins survive a change of keys', async () => {
  const [a, c] = [await openHouse({ seed: 1 }), await openHouse({ seed: 3 })]
  await a.take(patient('p1'), glucose('o1', 'p1', 1))
  await importArchive(partsOf(c, 'c'), newcomer(c), await exported(a, 'a'))
  const before = facts(await exported(c, 'c'))
  await rotateOwnerKeys(c, c.owner('p1').owner)
  expect(facts(await exported(c, 'c'))).toEqual(before)
  expect(readArchive(await exported(c, 'c')).receipts).toEqual([{ ...receipt, org: 'a' }])
})

test('what was altered, cut off or is of another kind is refused and changes nothing', async () => {
  const [a, c] = [await openHouse({ seed: 1 }), await openHouse({ seed: 3 })]
  await a.take(patient('p1'), glucose('o1', 'p1', 1))
  const text = await exported(a, 'a')
  const change = (edit: (archive: Record<string, never>) => void): string => {
    const parsed = JSON.parse(text)
    edit(parsed)
    return JSON.stringify(parsed)
  }
  const first = (change: object) => (archive: { versions: [object, ...object[]] }) => {
    Object.assign(archive.versions[0], change)
  }
  const edits = [
    first({ json: 'e30' }),
    first({ recordId: 'Patient/other' }),
    first({ version: 2 }),
    first({ extra: 1 }),
    (archive: object) => void Object.assign(archive, { v: 2 }),
    (archive: object) => void Object.assign(archive, { format: 'zip' }),
    (archive: object) => void Object.assign(archive, { receipts: {} }),
  ]
  const bad = [...edits.map((edit) => change(edit as never)), text.slice(0, -20), '[]', '']
  for (const content of bad) {
    await expect(importArchive(partsOf(c, 'c'), newcomer(c), content)).rejects.toThrow(AppError)
    expect(c.custody.countVersions()).toBe(0)
  }
})

test('emergency summaries stay behind: whoever holds the record makes its own', async () => {
  const house = await openHouse()
  await house.take(patient('p1'), glucose('o1', 'p1'))
  const before = facts(await exported(house, 'a')).length
  const json = new TextEncoder().encode('{"resourceType":"Bundle","id":"b1","type":"document"}')
  await storeGenerated(house, { owner: house.owner('p1').owner, recordId: 'Bundle/b1', json })
  expect(facts(await exported(house, 'a'))).toHaveLength(before)
})
