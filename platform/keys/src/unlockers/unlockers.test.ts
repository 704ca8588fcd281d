import { type SealKeyPair, sealKeyPair } from '@salus/core'
import { seededRandom } from '@salus/host'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addController, makeLink, newKeyring, newKrk, withoutUnlocker, withUnlocker } from '../keyring.ts'
import { renewAll, rotateKrk, wrapForAll } from '../rotate.ts'
import { openKeyring, sealKeyring } from '../sealed.ts'
import { deviceKeys, deviceUnlocker, newDevice, openWithDevice } from './device.ts'
import { type KeyUnlocker, wrapKrk } from './envelope.ts'
import { guardiansUnlocker, passOnPart, recoverKrk, wrapForGuardians } from './guardians.ts'
import { openWithPasskey, passkeyUnlocker } from './passkey.ts'
import {
  newRecoveryCode,
  openWithRecoveryCode,
  readRecoveryCode,
  recoveryCodeUnlocker,
} from './recovery-code.ts'

const random = seededRandom(11)
const nowMs = 1_790_000_000_000
const code = (expected: string) => expect.objectContaining({ code: expected })
const krk = newKrk(random)
const keyringId = random(16)
const wrap = (unlocker: KeyUnlocker, krkGeneration = 1) =>
  wrapKrk({ krk, krkGeneration, keyringId, unlocker, random })

describe('device', () => {
  const device = deviceKeys(newDevice(random))
  const unlocker = deviceUnlocker(device, { label: 'phone', nowMs })

  test('opens its own envelope only, and no altered one', () => {
    const envelope = wrap(unlocker)
    expect(openWithDevice(envelope, device)).toEqual(krk)
    expect(() => openWithDevice(envelope, deviceKeys(newDevice(random)))).toThrowError(code('OPEN_FAILED'))
    fc.assert(
      fc.property(fc.nat(envelope.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const altered = envelope.slice()
        altered[at] = (altered[at] ?? 0) ^ mask
        expect(() => openWithDevice(altered, device)).toThrow()
      }),
      { numRuns: 60 },
    )
  })
})

describe('passkey', () => {
  test('opens with the PRF output of the same passkey', () => {
    const prfOutput = random(32)
    const options = { id: random(16), credential: random(20), label: 'passkey', nowMs }
    const envelope = wrap(passkeyUnlocker({ ...options, prfOutput }))
    expect(openWithPasskey(envelope, prfOutput)).toEqual(krk)
    expect(() => openWithPasskey(envelope, random(32))).toThrowError(code('OPEN_FAILED'))
    expect(() => openWithPasskey(envelope, random(16))).toThrowError(code('PASSKEY_PRF'))
  })
})

describe('recovery code', () => {
  test('opens as typed by a person, and not with another code', async () => {
    const typed = newRecoveryCode(random)
    expect(typed).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$/)
    const unlocker = await recoveryCodeUnlocker({ id: random(16), code: typed, label: 'sheet', nowMs })
    const envelope = wrap(unlocker)
    const sloppy = ` ${typed.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l')} `
    expect(await openWithRecoveryCode(envelope, sloppy)).toEqual(krk)
    await expect(openWithRecoveryCode(envelope, newRecoveryCode(random))).rejects.toMatchObject({
      code: 'OPEN_FAILED',
    })
  })

  test('property: a single mistyped character is noticed before the slow part', () => {
    const alphabet = [...'0123456789ABCDEFGHJKMNPQRSTVWXYZ']
    let passed = 0
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(23), fc.constantFrom(...alphabet), (seed, at, char) => {
        const good = newRecoveryCode(seededRandom(seed)).replaceAll('-', '')
        if (good[at] === char) return
        try {
          readRecoveryCode(good.slice(0, at) + char + good.slice(at + 1))
          passed++
        } catch (error) {
          expect(error).toMatchObject({ code: 'RECOVERY_CODE' })
        }
      }),
      { numRuns: 500 },
    )
    expect(passed).toBeLessThan(2)
    for (const bad of [
      '',
      'ABCD',
      `${newRecoveryCode(random)}A`,
      'U'.repeat(24),
      '!'.repeat(24),
      'A'.repeat(100_000),
    ]) {
      expect(() => readRecoveryCode(bad)).toThrowError(code('RECOVERY_CODE'))
    }
  })
})

describe('guardians', () => {
  const guardianKeys = Array.from({ length: 5 }, () => sealKeyPair(random(32)))
  const homeKeys = [sealKeyPair(random(32)), sealKeyPair(random(32))]
  const people = (keys: SealKeyPair[]) => keys.map(({ publicKey }, i) => ({ label: `p${i}`, publicKey }))
  const unlocker = guardiansUnlocker({
    id: random(16),
    label: 'family',
    guardians: people(guardianKeys),
    homes: people(homeKeys),
    nowMs,
  })
  const newKey = sealKeyPair(random(32))
  const recovery = random(16)
  const setUp = () => wrapForGuardians({ krk, krkGeneration: 1, keyringId, unlocker, random })
  const passOn = (part: Uint8Array | undefined, key: SealKeyPair | undefined, to = newKey.publicKey) =>
    passOnPart({ part: part ?? random(1), key: key ?? newKey, recovery, newKey: to, random })

  test('any three with home, or its second, open it; two do not; home alone does not', async () => {
    const setup = await setUp()
    const shares = setup.shares.map((part, i) => passOn(part, guardianKeys[i]))
    for (const [home, homeHalf] of setup.homeHalves.map((part, i) => passOn(part, homeKeys[i])).entries()) {
      const common = { envelope: setup.envelope, homeHalf, newKey, recovery }
      for (const group of [
        [0, 1, 2],
        [2, 3, 4],
        [4, 0, 2],
        [0, 1, 2, 3, 4],
      ]) {
        const some = group.flatMap((i) => shares[i] ?? [])
        expect([home, group, await recoverKrk({ ...common, shares: some })]).toEqual([home, group, krk])
      }
      await expect(recoverKrk({ ...common, shares: shares.slice(0, 2) })).rejects.toMatchObject({
        code: 'GUARDIANS_TOO_FEW',
        data: { have: 2, need: 3 },
      })
      await expect(recoverKrk({ ...common, shares: [] })).rejects.toMatchObject({ code: 'GUARDIANS_TOO_FEW' })
    }
  })

  test('guardians without the home half open nothing', async () => {
    const setup = await setUp()
    const shares = setup.shares.map((part, i) => passOn(part, guardianKeys[i]))
    await expect(
      recoverKrk({ envelope: setup.envelope, shares, homeHalf: shares[0] ?? random(1), newKey, recovery }),
    ).rejects.toMatchObject({ code: 'OPEN_FAILED' })
  })

  test('a wrong share among enough good ones is left out; without enough good ones it is said', async () => {
    const setup = await setUp()
    const other = await wrapForGuardians({ krk, krkGeneration: 1, keyringId, unlocker, random })
    const good = setup.shares.map((part, i) => passOn(part, guardianKeys[i]))
    const wrong = passOn(other.shares[0], guardianKeys[0])
    const homeHalf = passOn(setup.homeHalves[0], homeKeys[0])
    const common = { envelope: setup.envelope, homeHalf, newKey, recovery }
    expect(await recoverKrk({ ...common, shares: [wrong, ...good.slice(1, 4)] })).toEqual(krk)
    await expect(recoverKrk({ ...common, shares: [wrong, ...good.slice(1, 3)] })).rejects.toMatchObject({
      code: 'GUARDIANS_WRONG_SHARE',
    })
  })

  test('a passed-on part opens for the named key and recovery only', async () => {
    const setup = await setUp()
    const shares = setup.shares.map((part, i) => passOn(part, guardianKeys[i]))
    const homeHalf = passOn(setup.homeHalves[0], homeKeys[0])
    const common = { envelope: setup.envelope, shares, homeHalf, newKey, recovery }
    await expect(recoverKrk({ ...common, recovery: random(16) })).rejects.toMatchObject({
      code: 'OPEN_FAILED',
    })
    await expect(recoverKrk({ ...common, newKey: sealKeyPair(random(32)) })).rejects.toMatchObject({
      code: 'OPEN_FAILED',
    })
    expect(() => passOn(setup.shares[0], guardianKeys[1])).toThrowError(code('OPEN_FAILED'))
  })

  test('refuses set-ups that cannot work', () => {
    const good = {
      id: random(16),
      label: 'x',
      guardians: people(guardianKeys),
      homes: people(homeKeys),
      nowMs,
    }
    for (const bad of [{ threshold: 6 }, { threshold: 1 }, { homes: [] }, { guardians: [] }]) {
      expect(() => guardiansUnlocker({ ...good, ...bad })).toThrowError(code('GUARDIANS'))
    }
  })
})

describe('rotation', () => {
  const phone = deviceKeys(newDevice(random))
  const laptop = deviceKeys(newDevice(random))
  const both = [phone, laptop].reduce(
    (keyring, device, i) => withUnlocker(keyring, deviceUnlocker(device, { label: `${i}`, nowMs })),
    newKeyring({ random, nowMs }),
  )

  test('a device that left opens neither the new key nor the new keyring', async () => {
    const stored = sealKeyring({ keyring: both, krk, random })
    const rotated = rotateKrk(withoutUnlocker(stored.keyring, laptop.id), random)
    const wrapped = await wrapForAll(rotated.keyring, rotated.krk, random)
    const next = sealKeyring({ ...rotated, random })
    expect(wrapped.envelopes).toHaveLength(1)
    const envelope = wrapped.envelopes[0] ?? random(1)
    expect(openKeyring({ bytes: next.bytes, krk: openWithDevice(envelope, phone) })).toEqual(next.keyring)
    expect(() => openWithDevice(envelope, laptop)).toThrowError(code('OPEN_FAILED'))
    expect(() => openKeyring({ bytes: next.bytes, krk })).toThrowError(code('OPEN_FAILED'))
  })

  test('a claim renews every key and keeps only the named unlockers', () => {
    const before = addController(makeLink(both, 'a', random).keyring, 'grant', random)
    const after = renewAll(before.keyring, { keep: [phone.id], random, nowMs })
    expect(after.keyring.krkGeneration).toBe(2)
    expect(after.keyring.unlockers.map((each) => each.id)).toEqual([phone.id])
    expect(after.controllers[0]).toMatchObject({ id: before.id, oldSeed: before.key.seed })
    expect(after.keyring.controllers[0]?.seed).toEqual(after.controllers[0]?.newKey.seed)
    expect(after.links[0]?.newKey.seed).not.toEqual(after.links[0]?.oldSeed)
    for (const { epochs } of Object.values(after.keyring.sections))
      expect(epochs.map((each) => each.epoch)).toEqual([1, 2])
    expect(() => renewAll(both, { keep: [random(16)], random, nowMs })).toThrowError(code('KEYRING_UNLOCKER'))
  })
})
