import {
  batchReceiver,
  decodeVersion,
  equal,
  fromUtf8,
  openObject,
  readHeader,
  sealKeyPair,
  sha256,
  unwrapKey,
} from '@salus/core'
import { memorySql } from '@salus/host/system'
import { afterEach, expect, test, vi } from 'vitest'
import {
  CHAIN_ID,
  collection,
  encounter,
  glucose,
  type House,
  medication,
  openHouse,
  patient,
  practitioner,
} from '../../testing/house.ts'
import { catchUpIndex } from '../index/catch-up.ts'
import { TokenIndex } from '../index/token-index.ts'
import { ridOf } from '../owner-keys.ts'
import { wrapForOwner } from '../owner-wraps.ts'
import { PatientSearch } from '../patient-search.ts'
import { storeGenerated } from './generated.ts'
import { houseOwner } from './owner-cache.ts'
import { versionLeaf } from './seal-version.ts'

const record = () => [patient('p1'), encounter('e1', 'p1'), glucose('o1', 'p1'), medication('m1', 'p1')]

async function readBack(
  house: House,
  recordId: string,
): Promise<{ resource: Record<string, unknown>; text: string }> {
  const row = house.custody.versionByRid(ridOf(house.ridKey, recordId))
  if (row === undefined) throw new Error(`${recordId} is not here`)
  const text = fromUtf8((await house.reader.open(row)).json)
  return { resource: JSON.parse(text), text }
}

afterEach(() => vi.restoreAllMocks())

test('every resource of a bundle becomes an object, a leaf and a row, and reads back', async () => {
  const house = await openHouse()
  const report = await house.take(...record(), practitioner('d1'))
  expect(report).toMatchObject({ imported: 5, unchanged: 0, rejected: [], dangling: [], newOwners: 2 })
  expect(house.log.leaves).toHaveLength(5)
  expect(house.custody.countVersions()).toBe(5)
  const { resource, text } = await readBack(house, 'Observation/o1')
  expect(resource).toMatchObject({ id: 'o1', meta: { versionId: '1' }, valueQuantity: { value: 6.3 } })
  const row = house.custody.versionByRid(ridOf(house.ridKey, 'Observation/o1'))
  if (row === undefined) throw new Error('unreachable')
  const { salt, digest } = house.reader.labels(row)
  expect(equal(digest, sha256(new TextEncoder().encode(text)))).toBe(true)
  const leaf = versionLeaf(salt, { recordId: 'Observation/o1', version: 1, digest })
  expect(equal(leaf, house.log.leaves[row.leafIndex] as Uint8Array)).toBe(true)
})

test('numbers keep the digits they came with', async () => {
  const house = await openHouse()
  const text = collection(patient('p1'), glucose('o1', 'p1', 6.5)).replace('6.5', '6.500')
  await house.ingest.importFile({ name: 'digits.json', text })
  expect((await readBack(house, 'Observation/o1')).text).toContain('"value":6.500')
})

test('the same file twice changes nothing; a change makes the next version, which names the one before', async () => {
  const house = await openHouse()
  await house.take(...record())
  expect(await house.take(...record())).toMatchObject({
    imported: 4,
    unchanged: 4,
    newOwners: 0,
    versions: [],
  })
  expect(house.log.leaves).toHaveLength(4)
  const changed = await house.take(glucose('o1', 'p1', 7.1))
  expect(changed.versions).toMatchObject([{ recordId: 'Observation/o1', version: 2 }])
  const rows = house.custody.history(ridOf(house.ridKey, 'Observation/o1'))
  expect(rows.map(({ version, current }) => [version, current])).toEqual([
    [2, true],
    [1, false],
  ])
  const [second, first] = rows
  if (first === undefined || second === undefined) throw new Error('unreachable')
  const { dek, object } = await house.reader.dataKey(second)
  expect(decodeVersion(openObject(object, dek)).prev).toEqual(house.reader.labels(first).digest)
  expect((await readBack(house, 'Observation/o1')).resource).toMatchObject({ meta: { versionId: '2' } })
})

test('one resource twice in a file counts once as new', async () => {
  const house = await openHouse()
  const report = await house.take(patient('p1'), glucose('o1', 'p1'), glucose('o1', 'p1'))
  expect(report).toMatchObject({ imported: 3, unchanged: 1, rejected: [] })
  expect(house.custody.countVersions()).toBe(2)
})

test('a record never moves to another patient', async () => {
  const house = await openHouse()
  await house.take(...record())
  const report = await house.take(glucose('o1', 'p2'))
  expect(report.rejected).toMatchObject([{ type: 'Observation', id: 'o1', code: 'OTHER_PATIENT' }])
  expect(report.newOwners).toBe(0)
  expect(house.custody.ownerByRid(ridOf(house.ridKey, 'Patient/p2'))).toBeUndefined()
  const twice = await house.take(glucose('o9', 'p1'), { ...glucose('o9', 'p2'), id: 'o9' })
  expect(twice.rejected).toHaveLength(1)
})

test('owners: unclaimed, directory, organisation, and what a list names', async () => {
  const house = await openHouse()
  const report = await house.take(
    {
      resourceType: 'List',
      id: 'l1',
      status: 'current',
      mode: 'working',
      entry: [{ item: { reference: 'Observation/o1' } }],
    },
    glucose('o1', 'nobody'),
    practitioner('d1'),
    {
      resourceType: 'Group',
      id: 'g1',
      type: 'person',
      actual: true,
      member: [{ entity: { reference: 'Patient/p1' } }, { entity: { reference: 'Patient/p2' } }],
    },
  )
  expect(report.rejected).toEqual([])
  expect(report.organisationOwned).toEqual(['Group/g1'])
  expect(report.dangling).toContainEqual({ from: 'Observation/o1', to: 'Patient/nobody' })
  const ownerOf = (recordId: string) => {
    const row = house.custody.versionByRid(ridOf(house.ridKey, recordId))
    return row === undefined ? undefined : house.custody.owner(row.owner)
  }
  expect(ownerOf('Observation/o1')).toMatchObject({ kind: 'patient', status: 'unclaimed' })
  expect(ownerOf('List/l1')?.owner).toEqual(house.owner('nobody').owner)
  expect(ownerOf('Practitioner/d1')).toEqual(houseOwner(house.custody, house.ridKey, 'directory'))
  expect(ownerOf('Group/g1')?.kind).toBe('organisation')
  // The same in a later file: the records that it names are held already.
  await house.take({
    resourceType: 'Provenance',
    id: 'v1',
    target: [{ reference: 'Observation/o1' }],
    recorded: '2020-01-01T00:00:00Z',
    agent: [{ who: { reference: 'Practitioner/d1' } }],
  })
  expect(ownerOf('Provenance/v1')?.owner).toEqual(house.owner('nobody').owner)
})

test('what is not FHIR is named with its reason, and the rest of the file arrives', async () => {
  const house = await openHouse()
  const report = await house.take(
    patient('p1'),
    { resourceType: 'Observatoin', id: 'x' },
    { ...patient('p2'), gender: 'nope' },
  )
  expect(report.imported).toBe(1)
  expect(report.rejected.map(({ entry, code }) => [entry, code])).toEqual([
    [1, 'UNKNOWN_TYPE'],
    [2, 'REQUIRED_CODE'],
  ])
  expect((await house.ingest.importFile({ name: 'x.json', text: '{"resource' })).rejected).toMatchObject([
    { code: 'NOT_JSON' },
  ])
})

test.each(['log', 'vault', 'custody'] as const)(
  'a failure of the %s leaves nothing visible, and the import can be repeated',
  async (where) => {
    const house = await openHouse()
    await house.take(patient('p0'))
    const failing =
      where === 'log'
        ? vi.spyOn(house.log, 'appendMany')
        : where === 'vault'
          ? vi.spyOn(house.vault, 'putMany')
          : vi.spyOn(house.custody, 'addVersions')
    failing.mockImplementationOnce(() => {
      throw new Error('crash')
    })
    await expect(house.take(...record())).rejects.toThrow('crash')
    expect(house.custody.countVersions()).toBe(1)
    expect(house.custody.ownerByRid(ridOf(house.ridKey, 'Patient/p1'))).toBeUndefined()
    expect(await house.take(...record())).toMatchObject({ imported: 4, unchanged: 0 })
  },
)

test('an index that is behind, or lost, is made again from custody', async () => {
  const house = await openHouse()
  vi.spyOn(house.index, 'add').mockImplementationOnce(() => {
    throw new Error('crash')
  })
  await expect(house.take(...record())).rejects.toThrow('crash')
  const { owner } = house.owner('p1')
  const query = 'Observation?code=2339-0'
  expect((await house.search.find(owner, query)).rows).toHaveLength(0)
  expect(await catchUpIndex(house)).toBe(4)
  expect((await house.search.find(owner, query)).rows).toHaveLength(1)
  const index = new TokenIndex(memorySql())
  expect(await catchUpIndex({ ...house, index })).toBe(4)
  expect((await new PatientSearch({ ...house, index }).find(owner, query)).rows).toHaveLength(1)
})

test('nothing in the databases tells a name, a code, a type or a date', async () => {
  const house = await openHouse()
  await house.take(...record())
  for (const sql of [house.custodySql, house.indexSql]) {
    const tables = sql.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all<{ name: string }>()
    const text = tables
      .flatMap(({ name }) => sql.prepare(`SELECT * FROM ${name}`).all())
      .map((row) =>
        Object.values(row)
          .map((v) => (v instanceof Uint8Array ? Buffer.from(v).toString('latin1') : String(v)))
          .join(),
      )
    for (const secret of ['Family-p1', 'Observation', '2339-0', '2019-05-01', 'metformin', 'p1'])
      expect(text.join('\n')).not.toContain(secret)
  }
})

test('an enrolled owner gets a wrap at once, an unclaimed one at enrolment; both open with her own keys', async () => {
  const house = await openHouse()
  await house.take(...record())
  const { owner } = house.owner('p1')
  const pair = sealKeyPair(house.random(32))
  const comp = house.random(16)
  const target = { comp, epoch: 1, publicKey: pair.publicKey }
  for (const name of ['general', 'labs', 'medication']) house.targets.set(name, target)
  expect(house.custody.versions(owner).every(({ ownerWrap }) => ownerWrap === undefined)).toBe(true)
  house.custody.setStatus(owner, 'self')
  const row = house.owner('p1')
  const parts = { ...house, chainId: CHAIN_ID, target: () => target }
  expect(await wrapForOwner(parts, row, { everything: false })).toBe(4)
  expect(await wrapForOwner(parts, row, { everything: false })).toBe(0)
  await house.take(glucose('o2', 'p1'))
  const versions = house.custody.versions(owner)
  expect(versions).toHaveLength(5)
  for (const version of versions) {
    const batch = house.custody.batch(version.batch as Uint8Array)
    const object = await house.vault.get(version.address)
    if (batch === undefined || object === undefined) throw new Error('unreachable')
    const kek = batchReceiver({
      key: pair,
      enc: batch.enc,
      chainId: CHAIN_ID,
      comp,
      epoch: 1,
      batchId: batch.batch,
    })
    const { headerHash } = readHeader(object)
    const dek = unwrapKey({
      kek,
      wrap: version.ownerWrap as Uint8Array,
      oid: version.oid,
      headerHash,
      use: 'owner',
    })
    expect(decodeVersion(openObject(object, dek)).recordId).toBe(house.reader.labels(version).recordId)
  }
  expect(await wrapForOwner(parts, row, { everything: true })).toBe(5)
  expect(house.custody.batches(owner).length).toBeLessThanOrEqual(3)
})

test('a generated record is hers, labelled emergency whatever it says, and found by no search', async () => {
  const house = await openHouse()
  await house.take(...record())
  const { owner } = house.owner('p1')
  const store = (text: string) =>
    storeGenerated(house, {
      owner,
      recordId: 'Bundle/b1',
      json: new TextEncoder().encode(
        `{"resourceType":"Bundle","id":"b1","type":"document","entry":[{"resource":{"resourceType":"Patient","id":"other","text":{"div":"${text}"}}}]}`,
      ),
    })
  expect(await store('one')).toMatchObject({ owner, recordId: 'Bundle/b1', version: 1 })
  expect(await store('one')).toBeUndefined()
  expect(await store('two')).toMatchObject({ version: 2 })
  const row = house.custody.versionByRid(ridOf(house.ridKey, 'Bundle/b1'))
  if (row === undefined) throw new Error('unreachable')
  expect(house.reader.labels(row)).toMatchObject({ type: 'Bundle', compartment: 'emergency', codes: [] })
  expect((await readBack(house, 'Bundle/b1')).resource).toMatchObject({ meta: { versionId: '2' } })
  expect((await house.search.find(owner, 'Bundle?')).rows).toEqual([])
  const index = new TokenIndex(memorySql())
  await catchUpIndex({ ...house, index })
  const search = new PatientSearch({ ...house, index })
  expect((await search.find(owner, 'Bundle?')).rows).toEqual([])
  expect((await search.find(owner, 'Observation?')).rows).toHaveLength(1)
  const missing = storeGenerated(house, { owner: new Uint8Array(16), recordId: 'Bundle/b2', json: row.oid })
  await expect(missing).rejects.toMatchObject({ code: 'NOT_FOUND' })
})
