import { toBase64url } from '@salus/core'
import { newKeyring, newKrk, sealKeyring } from '@salus/keys'
import { sendForJson } from '@salus/sdk'
import { describe, expect, test } from 'vitest'
import { newPerson, refused, testNetwork } from '../../testing/index.ts'
import { envelopesOf } from '../client/index.ts'

describe('home', () => {
  test('refuses versions that do not follow, other keyrings, and a new KRK without its envelopes', async () => {
    const net = testNetwork()
    const { context } = net
    const { person } = await newPerson(net, 'ana')
    const { home } = net.org('a').services
    const { owner } = net.org('a').patient('Patient/ana')
    const { random } = context
    const { keyring, krk } = person
    const put = (changed: object, extra: object = {}) =>
      home.put(owner, {
        bytes: sealKeyring({ keyring: { ...keyring, ...changed }, krk, random }).bytes,
        ...extra,
      })
    const before = net.org('a').leaves.length
    expect(await refused(put({ version: keyring.version + 1 }))).toBe('KEYRING_CONFLICT')
    expect(await refused(put({ prev: random(32) }))).toBe('KEYRING_CONFLICT')
    expect(await refused(put({ keyringId: random(16) }))).toBe('KEYRING_CONFLICT')
    expect(await refused(put({ krkGeneration: 2 }))).toBe('ENVELOPES')
    expect(await refused(put({ krkGeneration: 0 }))).toBe('KEYRING_CONFLICT')
    const old = envelopesOf(person, context)
    expect(await refused(put({ krkGeneration: 2 }, { envelopes: old }))).toBe('ENVELOPES')
    expect(await refused(put({}, { envelopes: [...old, ...old] }))).toBe('ENVELOPES')
    expect(net.org('a').leaves).toHaveLength(before)
    expect((await put({})).version).toBe(keyring.version + 1)
    const stranger = net.org('a').addPatient('Patient/eva')
    const first = sealKeyring({ keyring: { ...keyring, version: 0, prev: undefined }, krk, random })
    expect(await refused(home.put(stranger, { bytes: first.bytes, envelopes: [] }))).toBe('CONFLICT')
  })

  test('takes one of two versions that come at once', async () => {
    const net = testNetwork()
    const { random, clock } = net.context
    const { home } = net.org('a').services
    const owner = net.org('a').addPatient('Patient/ana')
    const keyring = newKeyring({ random, nowMs: clock.now() })
    const seal = () => sealKeyring({ keyring, krk: newKrk(random), random }).bytes
    const both = await Promise.all(
      [seal(), seal()].map((bytes) => refused(home.put(owner, { bytes, envelopes: [] }))),
    )
    expect(both.sort()).toEqual(['KEYRING_CONFLICT', undefined])
    expect(net.org('a').leaves).toHaveLength(1)
  })

  test('brings packages to their organisations and tells how each went', async () => {
    const net = testNetwork()
    const { session } = await newPerson(net, 'ana')
    net.network.stop('http://c.example')
    const g = toBase64url(new Uint8Array(16))
    const one = (to: string, role: string) => ({ to, role, g, sealed: toBase64url(new Uint8Array(40)) })
    const packages = [one('b', 'custodian'), one('c', 'grantee'), one('nowhere', 'grantee')]
    const told = (await sendForJson(session('a'), 'POST', '/home/grants', { json: { packages } })) as {
      results: { delivered: boolean; code?: string }[]
    }
    expect(told.results.map(({ delivered, code }) => [delivered, code])).toEqual([
      [true, undefined],
      [false, 'UNREACHABLE'],
      [false, 'NOT_FOUND'],
    ])
    expect(net.org('b').packages).toEqual([{ role: 'custodian', sealed: new Uint8Array(40) }])
  })

  test('tells notices in order, page by page, to their owner', async () => {
    const net = testNetwork()
    const { session } = await newPerson(net, 'ana')
    const { notices } = net.org('a').services
    const { owner } = net.org('a').patient('Patient/ana')
    const b = new Uint8Array(16).fill(7)
    notices.add(owner, { kind: 'emergency', about: { b } })
    notices.add(net.org('a').addPatient('Patient/eva'), { kind: 'refusal' })
    notices.add(owner, { kind: 'recall' })
    const page = async (after: number) =>
      (
        (await sendForJson(session('a'), 'GET', `/me/notices?after=${after}`)) as {
          notices: { seq: number; kind: string; about: object }[]
        }
      ).notices
    const all = await page(0)
    expect(all.map(({ kind }) => kind)).toEqual(['emergency', 'recall'])
    expect(all[0]?.about).toEqual({ b: toBase64url(b) })
    expect(await page(all[0]?.seq ?? 0)).toEqual(all.slice(1))
    notices.removeOwner(owner)
    expect(await page(0)).toEqual([])
  })
})
