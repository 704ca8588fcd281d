import { AppError, type CborValue, decode, equal } from '@salus/core'
import { type Holder, HttpServer, Sessions } from '@salus/server'
import { beforeAll, expect, test } from 'vitest'
import { glucose, type House, medication, openHouse, patient } from '../testing/house.ts'
import { recordsRoutes } from './routes.ts'

let house: House
let inject: (
  token: string,
  method: 'GET' | 'PUT',
  url: string,
) => Promise<{ status: number; body: Uint8Array }>
let tokens: { owner: string; delegate: string; ended: string }

beforeAll(async () => {
  house = await openHouse()
  await house.take(patient('p1'), glucose('o1', 'p1'), medication('m1', 'p1'))
  const sessions = new Sessions({ sql: house.custodySql, clock: house.clock, random: house.random })
  const routes = recordsRoutes({
    ...house,
    mandateOf({ delegation }) {
      if (delegation?.[0] === 1) return ['labs']
      throw new AppError('FORBIDDEN', 'delegation: has ended')
    },
    logImport: async () => undefined,
    logOwnList: async () => undefined,
    setCard: async () => 0,
  })
  const server = new HttpServer({
    routes,
    sessions,
    clock: house.clock,
    random: house.random,
    title: 'records',
    version: '0',
  })
  inject = async (token, method, url) =>
    server.inject({
      method,
      url,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: new TextEncoder().encode(
        method === 'PUT' ? JSON.stringify({ card: 'AA', sig: 'A'.repeat(86) }) : '',
      ),
    })
  const open = (delegation?: number): string => {
    const { owner } = house.owner('p1')
    const holder: Holder = { kind: 'holder', owner, linkKey: new Uint8Array(32) }
    return sessions.open(
      delegation === undefined ? holder : { ...holder, delegation: new Uint8Array(16).fill(delegation) },
      60_000,
    ).token
  }
  tokens = { owner: open(), delegate: open(1), ended: open(2) }
})

const versionsOf = async (token: string): Promise<readonly { oid: Uint8Array }[]> => {
  const { body } = await inject(token, 'GET', '/me/versions')
  return (decode(body) as unknown as { versions: { oid: Uint8Array }[] }).versions
}
const countOf = async (token: string): Promise<unknown> =>
  (
    JSON.parse(new TextDecoder().decode((await inject(token, 'GET', '/me')).body)) as Record<
      string,
      CborValue
    >
  )['versions']

test('a delegate is told of the versions in her mandate’s categories, and of no others', async () => {
  const all = await versionsOf(tokens.owner)
  const hers = await versionsOf(tokens.delegate)
  expect([all.length, hers.length]).toEqual([3, 1])
  const [lab] = hers
  const row = [...house.custody.versions(house.owner('p1').owner)].find(({ oid }) =>
    equal(oid, lab?.oid as Uint8Array),
  )
  expect(row && house.reader.labels(row).recordId).toBe('Observation/o1')
  expect([await countOf(tokens.owner), await countOf(tokens.delegate)]).toEqual([3, 1])
})

test('a delegation that ended opens no list, and no delegate sets the person’s card', async () => {
  for (const path of ['/me/versions', '/me'])
    expect((await inject(tokens.ended, 'GET', path)).status, path).toBe(403)
  expect((await inject(tokens.delegate, 'PUT', '/me/card')).status).toBe(403)
  expect((await inject(tokens.owner, 'PUT', '/me/card')).status).toBe(200)
})
