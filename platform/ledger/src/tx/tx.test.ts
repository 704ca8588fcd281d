import { type AuthItem, decode, encode, sha256, signedMessage, tuple, utf8 } from '@salus/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { countingRandom, testKey } from '../../testing/index.ts'
import { bodyFor, challengeOf, decodeBody, encodeBody, signBody } from './body.ts'
import { decodeBundle, encodeBundle, isOrgId, itemId } from './bundle.ts'
import { MAX_BODY_BYTES } from './limits.ts'
import { BUNDLE_SIGNATURE, checkHolds, itemsToVerify, verifyBundle } from './verify.ts'

const chainId = sha256(utf8('chain'))
const random = countingRandom('tx')
const ana = testKey('ana')
const ben = testKey('ben')
const sponsor = testKey('sponsor')
const request = { chainId, call: 'notes/write', args: { text: 'x', none: undefined }, untilMs: 5_000, random }
const signed = () => signBody({ ...request, keys: [ana, ben] })
const wireOf = (items = [signed()]) =>
  encodeBundle({ chain: chainId, sponsor: 'a', until: 5_000, items }, sponsor)
type Map = { [name: string]: unknown }
const fieldsOf = (bytes: Uint8Array) => decode(bytes) as Map

describe('a body', () => {
  test('comes back from its bytes as it was; members that are undefined are left out', () => {
    const body = decodeBody(signed().body)
    expect(body).toMatchObject({ v: 1, call: 'notes/write', args: { text: 'x' }, until: 5_000 })
    expect(Object.keys(body.args)).toEqual(['text'])
    expect(encodeBody(body)).toEqual(encodeBody(decodeBody(encodeBody(body))))
  })

  const wrong: readonly [string, (body: Map) => void][] = [
    ['body.v', (body) => Object.assign(body, { v: 2 })],
    ['body.chain', (body) => Object.assign(body, { chain: new Uint8Array(31) })],
    ['body.call', (body) => Object.assign(body, { call: 'notes' })],
    ['body.args', (body) => Object.assign(body, { args: [] })],
    ['body.nonce', (body) => Object.assign(body, { nonce: new Uint8Array(15) })],
    ['body.until', (body) => Object.assign(body, { until: -1 })],
    ['body.keys', (body) => Object.assign(body, { keys: [] })],
    ['body.keys', (body) => Object.assign(body, { keys: [ana.publicKey, ana.publicKey] })],
    ['body.keys', (body) => Object.assign(body, { keys: Array.from({ length: 9 }, () => random(32)) })],
    ['body.keys', (body) => Object.assign(body, { keys: [new Uint8Array(34)] })],
    ['body.nonce', (body) => delete body['nonce']],
    ['body: may have no members but', (body) => Object.assign(body, { more: 1 })],
  ]
  test.each(wrong)('is refused, naming %s', (field, change) => {
    const fields = fieldsOf(signed().body)
    change(fields)
    expect(() => decodeBody(encode(fields as never))).toThrow(field)
  })

  test('over its size, nested too deeply, or not strictly encoded is refused', () => {
    const big = { ...request, args: { text: 'x'.repeat(MAX_BODY_BYTES) } }
    expect(() => signBody({ ...big, keys: [ana] })).toThrow('32768 bytes')
    expect(() => decodeBody(new Uint8Array(MAX_BODY_BYTES + 1))).toThrow('size limit')
    let deep: unknown = 0
    for (let at = 0; at < 20; at++) deep = [deep]
    const fields = { ...fieldsOf(signed().body), args: { deep } }
    expect(() => decodeBody(encode(fields as never))).toThrow('DAG-CBOR')
  })

  test('a passkey signs the SHA-256 of the message, which is the txId', () => {
    const body = bodyFor({ ...request, publicKeys: [new Uint8Array(33)] })
    expect(challengeOf(chainId, body)).toEqual(sha256(signedMessage('tx', chainId, body)))
  })
})

describe('a bundle', () => {
  test('comes back from its wire form; its id does not depend on the signature', () => {
    const items = [signed(), signed()]
    const bundle = decodeBundle(wireOf(items))
    expect(bundle.items).toEqual(items.map(({ body, auth }) => ({ body, auth })))
    expect(bundle.bundleId).toEqual(sha256(bundle.bytes))
    expect(itemId(bundle.items[0] as never)).not.toEqual(itemId(bundle.items[1] as never))
  })

  const wrong: readonly [string, (bundle: Map) => void][] = [
    ['bundle.v', (bundle) => Object.assign(bundle, { v: 0 })],
    ['bundle.sponsor', (bundle) => Object.assign(bundle, { sponsor: 'A' })],
    ['bundle.until', (bundle) => Object.assign(bundle, { until: 'soon' })],
    ['bundle.items', (bundle) => Object.assign(bundle, { items: [] })],
    [
      'bundle.items',
      (bundle) => Object.assign(bundle, { items: new Array(129).fill({ body: utf8(''), auth: [] }) }),
    ],
    ['bundle.items[].body', (bundle) => Object.assign(bundle, { items: [{ body: 'x', auth: [] }] })],
    ['auth', (bundle) => Object.assign(bundle, { items: [{ body: utf8(''), auth: [utf8('short')] }] })],
    ['auth', (bundle) => Object.assign(bundle, { items: [{ body: utf8(''), auth: [{ sig: utf8('') }] }] })],
  ]
  test.each(wrong)('is refused, naming %s', (field, change) => {
    const fields = fieldsOf(decodeBundle(wireOf()).bytes)
    change(fields)
    expect(() => decodeBundle(tuple(encode(fields as never), new Uint8Array(64)))).toThrow(field)
  })

  test('property: no bytes make a decoder fail in any way but with its own error', () => {
    const wire = wireOf()
    const damaged = fc.tuple(fc.nat(wire.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, bits]) => {
      const copy = wire.slice()
      copy[at] = (copy[at] as number) ^ bits
      return copy
    })
    const codeOf = (read: () => unknown) => {
      try {
        read()
        return 'ok'
      } catch (error) {
        return (error as { code?: string }).code
      }
    }
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        expect(codeOf(() => decodeBundle(bytes))).toMatch(/^(ok|BUNDLE)$/)
        expect(codeOf(() => decodeBody(bytes))).toMatch(/^(ok|BODY)$/)
        expect(verifyBundle(bytes, sponsor.publicKey)[0] ?? 0).toBe(0)
      }),
      { seed: 7, numRuns: 300 },
    )
  })

  test('organisation ids are lower-case words with inner dashes', () => {
    expect(['a', 'clinic-9', 'x'.repeat(63)].every(isOrgId)).toBe(true)
    expect(['', '-a', 'a-', 'A', 'a.b', 'x'.repeat(64)].some(isOrgId)).toBe(false)
  })
})

describe('verification', () => {
  test('lists the sponsor’s signature and each key’s, which all hold', () => {
    const checks = itemsToVerify(decodeBundle(wireOf([signed(), signed()])), sponsor.publicKey)
    expect(checks.map(({ item }) => item)).toEqual([BUNDLE_SIGNATURE, 0, 0, 1, 1])
    expect(checks.every(checkHolds)).toBe(true)
  })

  test('an item is valid only if every one of its keys signed', () => {
    const { body, auth } = signed()
    const [first, second] = auth as [AuthItem, AuthItem]
    const items = [
      { body, auth: [first, second] },
      { body, auth: [second, first] },
      { body, auth: [first] },
    ]
    items.push({ body, auth: [first, new Uint8Array(64)] }, { body: utf8('?'), auth: [first] })
    const wire = encodeBundle({ chain: chainId, sponsor: 'a', until: 1, items }, sponsor)
    expect([...verifyBundle(wire, sponsor.publicKey)]).toEqual([1, 1, 0, 0, 0, 0])
    expect([...verifyBundle(wire, undefined)].slice(0, 2)).toEqual([0, 1])
    expect([...verifyBundle(wire, ana.publicKey)][0]).toBe(0)
    expect(verifyBundle(utf8('?'), sponsor.publicKey)).toHaveLength(0)
  })
})
