import { createDecipheriv } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import vectors from '../../../vectors/wrap.json' with { type: 'json' }
import { repeatable, scripted } from '../test/randomness.ts'
import { system } from '../test/system-random.ts'
import { fromHex, toHex } from './bytes.ts'
import { tuple } from './cbor.ts'
import { openSealed, sealKeyPair, sealTo } from './hpke.ts'
import { batchReceiver, batchSender, unwrapKey, WRAP_BYTES, type WrapUse, wrapKey } from './wrap.ts'

const failed = expect.objectContaining({ code: 'OPEN_FAILED' })
const exactly = (lengthBytes: number) => fc.uint8Array({ minLength: lengthBytes, maxLength: lengthBytes })

describe('vectors', () => {
  const { batch, wraps } = vectors

  test('batch', () => {
    const key = sealKeyPair(fromHex(batch.seed))
    expect(toHex(key.publicKey)).toBe(batch.publicKey)
    const target = {
      chainId: fromHex(batch.chainId),
      comp: fromHex(batch.comp),
      epoch: batch.epoch,
      batchId: fromHex(batch.batchId),
    }
    const { chainId, comp, epoch, batchId } = target
    expect(toHex(tuple('salus/batch/v1', chainId, comp, epoch, batchId))).toBe(batch.info)
    const sent = batchSender({ ...target, to: key.publicKey, random: scripted(fromHex(batch.eseed)) })
    expect(toHex(sent.enc)).toBe(batch.enc)
    expect(toHex(sent.key)).toBe(batch.key)
    expect(toHex(batchReceiver({ ...target, key, enc: fromHex(batch.enc) }))).toBe(batch.key)
  })

  test.each(wraps)('$use wrap', (v) => {
    const target = { oid: fromHex(v.oid), headerHash: fromHex(v.headerHash), use: v.use as WrapUse }
    const [kek, dek] = [fromHex(v.kek), fromHex(v.dek)]
    expect(toHex(wrapKey({ ...target, kek, dek, random: scripted(fromHex(v.nonce)) }))).toBe(v.wrap)
    expect(toHex(unwrapKey({ ...target, kek, wrap: fromHex(v.wrap) }))).toBe(v.dek)

    // The protocol's words once more with nothing of ours.
    const wrap = Buffer.from(v.wrap, 'hex')
    const decipher = createDecipheriv('aes-256-gcm', kek, wrap.subarray(0, 12))
    decipher.setAAD(Buffer.concat([Buffer.from(v.oid + v.headerHash, 'hex'), Buffer.from(v.use)]))
    decipher.setAuthTag(wrap.subarray(44))
    expect(Buffer.concat([decipher.update(wrap.subarray(12, 44)), decipher.final()]).toString('hex')).toBe(
      v.dek,
    )
  })
})

test('a wrap opens for its own key, object, header and use only', () => {
  fc.assert(
    fc.property(exactly(32), exactly(32), exactly(16), exactly(32), (kek, dek, oid, headerHash) => {
      const target = { oid, headerHash, use: 'owner' as const }
      const wrap = wrapKey({ ...target, kek, dek, random: system })
      expect(wrap.length).toBe(WRAP_BYTES)
      expect(unwrapKey({ ...target, kek, wrap })).toEqual(dek)
      const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte))
      for (const change of [
        { kek: flipped(kek) },
        { oid: flipped(oid) },
        { headerHash: flipped(headerHash) },
        { use: 'custody' as const },
        { wrap: flipped(wrap) },
        { wrap: wrap.subarray(0, 59) },
      ]) {
        expect(() => unwrapKey({ ...target, kek, wrap, ...change })).toThrow(failed)
      }
    }),
    { numRuns: 40 },
  )
})

test('wraps of different objects cannot be exchanged', () => {
  const kek = new Uint8Array(32).fill(1)
  const objects = [1, 2, 3, 4].map((n) => ({
    oid: new Uint8Array(16).fill(n),
    headerHash: new Uint8Array(32).fill(n),
    use: 'owner' as const,
    dek: new Uint8Array(32).fill(n),
  }))
  const wraps = objects.map((o) => wrapKey({ ...o, kek, random: system }))
  for (const [i, object] of objects.entries()) {
    for (const [j, wrap] of wraps.entries()) {
      if (i === j) expect(unwrapKey({ ...object, kek, wrap })).toEqual(object.dek)
      else expect(() => unwrapKey({ ...object, kek, wrap })).toThrow(failed)
    }
  }
})

test('sizes are checked', () => {
  const target = { oid: new Uint8Array(16), headerHash: new Uint8Array(32), use: 'owner' as const }
  const kek = new Uint8Array(32)
  expect(() => wrapKey({ ...target, kek, dek: new Uint8Array(16), random: system })).toThrow(/dek/)
  expect(() => wrapKey({ ...target, kek: new Uint8Array(16), dek: kek, random: system })).toThrow(/key/)
  expect(() => wrapKey({ ...target, oid: kek, kek, dek: kek, random: system })).toThrow(/oid/)
})

describe('batch', () => {
  const key = sealKeyPair(new Uint8Array(32).fill(9))
  const target = {
    chainId: new Uint8Array(32).fill(1),
    comp: new Uint8Array(16).fill(2),
    epoch: 3,
    batchId: new Uint8Array(16).fill(4),
  }

  test.each([
    ['the system', system],
    ['repeatable randomness', repeatable('batch')],
  ])('both sides share the key, drawn from %s', (_, random) => {
    const { enc, key: batchKey } = batchSender({ ...target, to: key.publicKey, random })
    expect(enc.length).toBe(1120)
    expect(batchReceiver({ ...target, key, enc })).toEqual(batchKey)
  })

  test('another chain, compartment, epoch, batch or holder has another key', () => {
    const { enc, key: batchKey } = batchSender({ ...target, to: key.publicKey, random: system })
    const keys = [
      batchReceiver({ ...target, key, enc, chainId: new Uint8Array(32) }),
      batchReceiver({ ...target, key, enc, comp: new Uint8Array(16) }),
      batchReceiver({ ...target, key, enc, epoch: 4 }),
      batchReceiver({ ...target, key, enc, batchId: new Uint8Array(16) }),
      batchReceiver({ ...target, key: sealKeyPair(new Uint8Array(32)), enc }),
    ].map(toHex)
    expect(new Set([...keys, toHex(batchKey)]).size).toBe(6)
  })

  test('the same randomness gives the same encapsulation; the system gives another each time', () => {
    const make = (random: typeof system) => toHex(batchSender({ ...target, to: key.publicKey, random }).enc)
    expect(make(repeatable('a'))).toBe(make(repeatable('a')))
    expect(make(system)).not.toBe(make(system))
  })
})

test('500 versions: one encapsulation, 60 bytes each', () => {
  const key = sealKeyPair(new Uint8Array(32).fill(9))
  const info = tuple('release')
  const deks = repeatable('deks')(32 * 500)
  const sealed = sealTo({ to: key.publicKey, info, plaintext: deks, random: system })
  expect(sealed.length).toBe(1120 + 32 * 500 + 16)
  expect(openSealed({ key, info, sealed })).toEqual(deks)
})
