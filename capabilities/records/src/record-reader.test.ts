import { AppError, toHex } from '@salus/core'
import { beforeAll, expect, test } from 'vitest'
import { encounter, glucose, type House, medication, openHouse, patient } from '../testing/house.ts'
import type { VersionRow } from './custody/rows.ts'
import { RecordReader } from './record-reader.ts'

let house: House
let rows: VersionRow[]

beforeAll(async () => {
  house = await openHouse()
  await house.take(
    patient('p1'),
    encounter('e1', 'p1'),
    glucose('o1', 'p1'),
    medication('m1', 'p1'),
    patient('p2'),
    glucose('o2', 'p2'),
  )
  await house.take(glucose('o1', 'p1', 8))
  rows = [
    ...house.custody.versions(house.owner('p1').owner),
    ...house.custody.versions(house.owner('p2').owner),
  ]
})

/** The code with which opening fails; `opened` if it does not. */
async function open(row: VersionRow, reader = new RecordReader(house)): Promise<string> {
  try {
    await reader.open(row)
    return 'opened'
  } catch (error) {
    return error instanceof AppError ? error.code : `bug: ${String(error)}`
  }
}

test('attack: swap every pair of wraps, addresses, labels and rows; each is detected', async () => {
  expect(rows).toHaveLength(7)
  for (const row of rows) expect(await open(row)).toBe('opened')
  const swaps = ['custodyWrap', 'address', 'sealed', 'oid', 'owner', 'version'] as const
  for (const mine of rows)
    for (const theirs of rows) {
      if (mine === theirs) continue
      for (const column of swaps) {
        if (String(mine[column]) === String(theirs[column])) continue
        const outcome = await open({ ...mine, [column]: theirs[column] } as VersionRow)
        expect([column, outcome]).toEqual([column, expect.stringMatching(/^(OPEN_FAILED|OBJECT_ALTERED)$/)])
      }
      // Two columns moved together, as by somebody who knows the schema.
      const pairs = [
        { custodyWrap: theirs.custodyWrap, address: theirs.address },
        { custodyWrap: theirs.custodyWrap, address: theirs.address, oid: theirs.oid },
        { sealed: theirs.sealed, oid: theirs.oid },
      ]
      for (const pair of pairs)
        expect(await open({ ...mine, ...pair } as VersionRow)).toMatch(/^(OPEN_FAILED|OBJECT_ALTERED)$/)
    }
})

test('attack: exchange two objects behind their addresses', async () => {
  for (const mine of rows)
    for (const theirs of rows) {
      if (mine === theirs) continue
      const vault = {
        get: (address: Uint8Array) =>
          house.vault.get(toHex(address) === toHex(mine.address) ? theirs.address : address),
      }
      expect(await open(mine, new RecordReader({ vault, keys: house.keys }))).toBe('OBJECT_ALTERED')
    }
})

test('every flipped byte of an object, a wrap or the labels is found', async () => {
  const [row] = rows
  if (row === undefined) throw new Error('unreachable')
  const object = (await house.vault.get(row.address)) as Uint8Array
  for (let at = 0; at < object.length; at += 7) {
    const bad = object.slice()
    bad[at] = (bad[at] as number) ^ 1
    const vault = { get: async () => bad }
    expect(await open(row, new RecordReader({ vault, keys: house.keys }))).toMatch(
      /^(OPEN_FAILED|OBJECT|OBJECT_ALTERED|UNSUPPORTED)$/,
    )
  }
  for (const column of ['custodyWrap', 'sealed'] as const) {
    const bytes = (row[column] as Uint8Array).slice()
    bytes[20] = (bytes[20] as number) ^ 1
    expect(await open({ ...row, [column]: bytes })).toBe('OPEN_FAILED')
  }
})

test('a missing object and a record that only its owner can read are told apart', async () => {
  const [row] = rows
  if (row === undefined) throw new Error('unreachable')
  expect(await open(row, new RecordReader({ vault: { get: async () => undefined }, keys: house.keys }))).toBe(
    'OBJECT_MISSING',
  )
  expect(await open({ ...row, custodyWrap: undefined })).toBe('NOT_READABLE')
})
