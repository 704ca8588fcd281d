import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dayStartMs, sealKeyPair, toHex, utf8 } from '@salus/core'
import { memoryDisk } from '@salus/host'
import { openSql } from '@salus/host/system'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  CHAIN_ID,
  encounter,
  glucose,
  type House,
  medication,
  openHouse,
  patient,
  START_MS,
} from '../../testing/house.ts'
import { tokenOf } from '../index/token-index.ts'
import { storeGenerated } from '../ingest/generated.ts'
import { memoryOwnerKeys, ridOf } from '../owner-keys.ts'
import { wrapForOwner } from '../owner-wraps.ts'
import { Erasure, type ErasureParts, type Retention } from './erasure.ts'
import { markerOf } from './markers.ts'
import { replayMarkers } from './replay-markers.ts'
import { resumeRotations, rotateOwnerKeys } from './rotation.ts'

const KEEP: Retention = () => ({
  effect: 'restrict',
  retainUntil: '2031-05-01',
  basis: 'the law of the place',
})
const DELETE: Retention = () => ({ effect: 'delete' })
const requestId = new Uint8Array(16)

let folder: string
let house: House
const issued: { kind: string; count: number }[] = []

function partsOf(of: House, retention: Retention): ErasureParts {
  return {
    ...of,
    retention,
    endGrants: async () => undefined,
    summariesGone: () => undefined,
    receipts: {
      async erased({ objects }) {
        issued.push({ kind: 'erased', count: objects.length })
        return { bytes: utf8('erased'), sig: new Uint8Array(64), salt: new Uint8Array(32) }
      },
      async refused({ count }) {
        issued.push({ kind: 'refused', count })
        return { bytes: utf8('refused'), sig: new Uint8Array(64), salt: new Uint8Array(32) }
      },
    },
  }
}

const openIn = (dir: string) => (name: string) => openSql(join(dir, `${name}.sqlite`), { durable: true })

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'salus-erasure-'))
  issued.length = 0
  house = await openHouse({ sql: openIn(folder) })
  await house.take(
    patient('p1'),
    encounter('e1', 'p1'),
    glucose('o1', 'p1'),
    medication('m1', 'p1'),
    patient('p2'),
    glucose('o2', 'p2'),
  )
  await house.take(glucose('o1', 'p1', 7.7))
})

afterEach(() => {
  vi.restoreAllMocks()
  house.custodySql.close()
  house.indexSql.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Every byte that this custodian keeps: databases with their logs, and the vault. */
function everyByte(of: House = house): Buffer {
  const databases = readdirSync(folder).map((name) => readFileSync(join(folder, name)))
  return Buffer.concat([...databases, ...of.disk.files().map(([, bytes]) => Buffer.from(bytes))])
}

const rowsOf = (id: string) => house.custody.versions(house.owner(id).owner)

test('when nothing keeps it, everything goes: no byte of it is left anywhere', async () => {
  const { owner } = house.owner('p1')
  const rows = rowsOf('p1')
  const objects = await Promise.all(rows.map(({ address }) => house.vault.get(address)))
  const indexKey = house.keys.indexKey(owner)
  const secrets = [
    ...rows.flatMap(({ sealed, custodyWrap, address }) => [sealed, custodyWrap as Uint8Array, address]),
    ...objects.map((object) => (object as Uint8Array).subarray(120, 200)),
    house.keys.custodyKey(owner),
    indexKey,
  ]
  const before = everyByte()
  expect(secrets.filter((secret) => before.includes(Buffer.from(secret))).length).toBeGreaterThan(15)
  const tokens = house.indexSql.prepare('SELECT COUNT(*) AS n FROM records_token WHERE token = ?')
  const token = tokenOf(indexKey, 'Observation||type|')
  expect(tokens.get<{ n: number }>(token)?.n).toBe(2)

  const result = await new Erasure(partsOf(house, DELETE)).erase(owner, { requestId })
  expect(result).toMatchObject({ destroyed: 5, restricted: 0, receipts: [{}] })
  expect(issued).toEqual([{ kind: 'erased', count: 5 }])
  const after = everyByte()
  for (const secret of secrets) expect(after.includes(Buffer.from(secret))).toBe(false)
  expect(tokens.get<{ n: number }>(token)?.n).toBe(0)
  expect(() => house.keys.custodyKey(owner)).toThrow('destroyed')
  expect(house.owner('p1').status).toBe('erased')
  // The other patient's record is untouched, and the tombstones are in the log.
  for (const row of rowsOf('p2')) await house.reader.open(row)
  expect(house.log.leaves.flatMap((leaf) => markerOf(leaf) ?? [])).toHaveLength(5)
  expect((await house.take(glucose('o9', 'p1'))).rejected).toMatchObject([{ code: 'OWNER_ERASED' }])
})

test('the legal record is hidden until its date, with a refusal; on the date it is destroyed', async () => {
  const { owner } = house.owner('p1')
  const target = { comp: house.random(16), epoch: 1, publicKey: sealKeyPair(house.random(32)).publicKey }
  await wrapForOwner({ ...house, chainId: CHAIN_ID, target: () => target }, house.owner('p1'), {
    everything: false,
  })
  const erasure = new Erasure(partsOf(house, KEEP))
  const result = await erasure.erase(owner, { requestId })
  expect(result).toMatchObject({ destroyed: 0, restricted: 5, retainUntil: '2031-05-01' })
  expect(issued).toEqual([{ kind: 'refused', count: 5 }])
  expect(house.owner('p1')).toMatchObject({ status: 'restricted', retainUntilMs: dayStartMs('2031-05-01') })
  expect(
    rowsOf('p1').every(
      ({ state, ownerWrap, batch }) =>
        state === 'restricted' && ownerWrap === undefined && batch === undefined,
    ),
  ).toBe(true)
  expect(house.custody.batches(owner)).toEqual([])
  expect((await house.search.find(owner, 'Observation?code=2339-0')).rows).toEqual([])
  for (const row of rowsOf('p1')) await house.reader.open(row)
  expect(await erasure.erase(owner, { requestId })).toMatchObject({
    destroyed: 0,
    restricted: 0,
    receipts: [],
  })
  expect(await erasure.destroyDue(requestId)).toEqual([])
  house.clock.advance(dayStartMs('2031-05-01') - START_MS)
  expect(house.custody.nextDueMs()).toBe(dayStartMs('2031-05-01'))
  expect(await erasure.destroyDue(requestId)).toHaveLength(1)
  expect(rowsOf('p1')).toEqual([])
  expect(house.owner('p1').status).toBe('erased')
  expect(house.custody.nextDueMs()).toBeUndefined()
})

test('a part goes: what remains is under new keys, opens, and is found', async () => {
  const { owner } = house.owner('p1')
  const oldKey = house.keys.custodyKey(owner)
  const medicationRow = house.custody.versionByRid(ridOf(house.ridKey, 'MedicationRequest/m1'))
  if (medicationRow === undefined) throw new Error('unreachable')
  const kept = rowsOf('p1').filter(({ oid }) => toHex(oid) !== toHex(medicationRow.oid))
  const result = await new Erasure(partsOf(house, DELETE)).erase(owner, {
    requestId,
    oids: [medicationRow.oid],
  })
  expect(result.destroyed).toBe(1)
  expect(house.owner('p1').status).toBe('unclaimed')
  expect(house.keys.custodyKey(owner)).not.toEqual(oldKey)
  const after = everyByte()
  for (const { sealed, custodyWrap } of [...kept, medicationRow]) {
    expect(after.includes(Buffer.from(sealed))).toBe(false)
    expect(after.includes(Buffer.from(custodyWrap as Uint8Array))).toBe(false)
  }
  expect(rowsOf('p1')).toHaveLength(4)
  for (const row of rowsOf('p1')) await house.reader.open(row)
  expect((await house.search.find(owner, 'Observation?value-quantity=7.7')).rows).toHaveLength(1)
  expect((await house.search.find(owner, 'MedicationRequest?code=860975')).rows).toHaveLength(0)
  await expect(
    new Erasure(partsOf(house, DELETE)).erase(owner, { requestId, oids: [medicationRow.oid] }),
  ).rejects.toThrow('no version of yours')
})

test('emergency summaries go with whatever part of the record is erased', async () => {
  const { owner } = house.owner('p1')
  const json = utf8('{"resourceType":"Bundle","type":"document"}')
  await storeGenerated(house, { owner, recordId: 'Bundle/summary', json })
  const [medication] = rowsOf('p1')
  if (medication === undefined) throw new Error('unreachable')
  const told: Uint8Array[] = []
  const parts = { ...partsOf(house, KEEP), summariesGone: (of: Uint8Array) => void told.push(of) }
  const request = { requestId, oids: [medication.oid] }
  expect(await new Erasure(parts).erase(owner, request)).toMatchObject({ destroyed: 1, restricted: 1 })
  expect(told).toEqual([owner])
  expect(rowsOf('p1').map((row) => house.reader.labels(row).recordId)).not.toContain('Bundle/summary')
  for (const row of rowsOf('p1')) await house.reader.open(row)
  expect(await new Erasure(parts).erase(owner, request)).toMatchObject({ destroyed: 0, restricted: 0 })
})

test('what only she can read goes at once, while the law keeps the rest', async () => {
  const { owner } = house.owner('p1')
  const [row] = rowsOf('p1')
  if (row === undefined) throw new Error('unreachable')
  house.custody.setCustody(row.oid, { custodyWrap: undefined, sealed: row.sealed })
  expect(await new Erasure(partsOf(house, KEEP)).erase(owner, { requestId })).toMatchObject({
    destroyed: 1,
    restricted: 4,
  })
  expect(issued.map(({ kind }) => kind)).toEqual(['refused', 'erased'])
  for (const rest of rowsOf('p1')) await house.reader.open(rest)
})

test('attack: restore a backup made before; the log brings nothing back', async () => {
  house.custody.flushDeleted()
  house.index.flushDeleted()
  const backup = mkdtempSync(join(tmpdir(), 'salus-backup-'))
  cpSync(folder, backup, { recursive: true })
  const files = house.disk.files()
  const [patientRow] = rowsOf('p1')
  if (patientRow === undefined) throw new Error('unreachable')
  const oldPair = {
    custodyKey: house.keys.custodyKey(house.owner('p1').owner),
    indexKey: house.keys.indexKey(house.owner('p1').owner),
  }

  await new Erasure(partsOf(house, DELETE)).erase(house.owner('p1').owner, { requestId })
  await new Erasure(partsOf(house, KEEP)).erase(house.owner('p2').owner, { requestId })

  // Everything is restored, keystore too; only the log is what it was.
  const disk = memoryDisk()
  for (const [path, bytes] of files) if (!path.endsWith('lock')) await disk.write(path, bytes)
  const keys = memoryOwnerKeys(house.random)
  const p2 = house.owner('p2').owner
  const restoredKeys = {
    ...keys,
    custodyKey: (owner: Uint8Array) =>
      toHex(owner) === toHex(p2) ? house.keys.custodyKey(owner) : oldPair.custodyKey,
  }
  const sql = openIn(backup)
  const restored = await openHouse({
    seed: 9,
    remains: {
      disk,
      custodySql: sql('custody'),
      indexSql: sql('index'),
      keys: restoredKeys,
      ridKey: house.ridKey,
      log: house.log,
    },
  })
  await restored.reader.open(patientRow)
  expect(await replayMarkers(partsOf(restored, KEEP), house.log.leaves)).toEqual({
    removed: 5,
    restricted: 2,
  })
  expect(restored.custody.versions(patientRow.owner)).toEqual([])
  expect(restored.owner('p1').status).toBe('erased')
  expect(restored.owner('p2').status).toBe('restricted')
  expect(await restored.vault.get(patientRow.address)).toBeUndefined()
  expect(restored.custody.due(dayStartMs('2031-05-01'))).toHaveLength(2)
  expect(await replayMarkers(partsOf(restored, KEEP), house.log.leaves)).toEqual({
    removed: 0,
    restricted: 0,
  })
  restored.custodySql.close()
  restored.indexSql.close()
  rmSync(backup, { recursive: true, force: true })
})

test.each(['erase', 'removeVersions', 'destroy'] as const)(
  'a crash in the middle (%s) is completed from the log at the next start',
  async (where) => {
    const { owner } = house.owner('p1')
    const failing =
      where === 'erase'
        ? vi.spyOn(house.vault, 'erase')
        : where === 'destroy'
          ? vi.spyOn(house.keys, 'destroy')
          : vi.spyOn(house.custody, 'removeVersions')
    failing.mockImplementationOnce(() => {
      throw new Error('crash')
    })
    await expect(new Erasure(partsOf(house, DELETE)).erase(owner, { requestId })).rejects.toThrow('crash')
    failing.mockRestore()
    const { removed } = await replayMarkers(partsOf(house, DELETE), house.log.leaves)
    expect(removed).toBe(where === 'destroy' ? 0 : 5)
    expect(rowsOf('p1')).toEqual([])
    await replayMarkers(partsOf(house, DELETE), house.log.leaves)
    expect(house.owner('p1').status).toBe('erased')
    expect(() => house.keys.custodyKey(owner)).toThrow('destroyed')
    expect(house.vault.stats().objects).toBe(2)
  },
)

test.each(['before', 'after'] as const)(
  'a rotation that a crash interrupts %s the rows is completed',
  async (when) => {
    const { owner } = house.owner('p1')
    const failing = when === 'before' ? vi.spyOn(house.custody, 'setCustody') : vi.spyOn(house.index, 'add')
    failing.mockImplementationOnce(() => {
      throw new Error('crash')
    })
    await expect(rotateOwnerKeys(house, owner)).rejects.toThrow('crash')
    failing.mockRestore()
    house.reader.forget()
    expect(await resumeRotations(house)).toBe(1)
    expect(house.keys.rotating()).toEqual([])
    for (const row of rowsOf('p1')) await house.reader.open(row)
    expect((await house.search.find(owner, 'Observation?value-quantity=7.7')).rows).toHaveLength(1)
  },
)
