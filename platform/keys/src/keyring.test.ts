import { equal, hmacBytes, sealKeyPair, sha256, utf8 } from '@salus/core'
import { seededRandom } from '@salus/host'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openSharedSections, shareSections } from './delegation.ts'
import {
  addController,
  compartmentKey,
  compartmentPublicKey,
  controllerKey,
  currentEpoch,
  dropControllers,
  dropEpochsBefore,
  linkKey,
  linkSub,
  makeLink,
  newKeyring,
  newKrk,
  nextEpochs,
} from './keyring.ts'
import { CATEGORIES } from './keyring-types.ts'
import { acceptVersion, openKeyring, openSection, readSealed, sealKeyring } from './sealed.ts'

const random = seededRandom(3)
const nowMs = 1_790_000_000_000
const fresh = () => newKeyring({ random, nowMs })

describe('keyring', () => {
  test('a new one has epoch 1 of each compartment, all secrets different', () => {
    const keyring = fresh()
    const secrets = CATEGORIES.flatMap((category) => {
      const { key, comp, epochs } = keyring.sections[category]
      expect(epochs).toHaveLength(1)
      return [key, comp, ...epochs.map((each) => each.seed)].map(String)
    })
    expect(new Set(secrets).size).toBe(CATEGORIES.length * 3)
  })

  test('next epochs change only the named compartments, keep old seeds and the id, and renew the section key', () => {
    const before = fresh()
    const after = nextEpochs(before, ['labs'], { random, nowMs: nowMs + 1 })
    expect(after.sections.notes).toBe(before.sections.notes)
    expect(currentEpoch(after, 'labs')).toMatchObject({ epoch: 2, sinceMs: nowMs + 1 })
    expect(after.sections.labs.comp).toEqual(before.sections.labs.comp)
    expect(after.sections.labs.key).not.toEqual(before.sections.labs.key)
    const found = compartmentKey(after.sections, before.sections.labs.comp, 1)
    expect(found).toEqual({ category: 'labs', seed: currentEpoch(before, 'labs').seed })
    const erased = dropEpochsBefore(after, 'labs', 2)
    expect(compartmentKey(erased.sections, before.sections.labs.comp, 1)).toBeUndefined()
    expect(() => dropEpochsBefore(after, 'labs', 3)).toThrowError(
      expect.objectContaining({ code: 'KEYRING_EPOCH' }),
    )
  })

  test('controllers: one key per object, id from its key, forgotten when dropped', () => {
    const one = addController(fresh(), 'grant', random)
    const two = addController(one.keyring, 'delegation', random)
    expect(one.id).toEqual(sha256(one.key.publicKey).slice(0, 16))
    expect(controllerKey(two.keyring, one.id)?.publicKey).toEqual(one.key.publicKey)
    const left = dropControllers(two.keyring, [one.id])
    expect(controllerKey(left, one.id)).toBeUndefined()
    expect(controllerKey(left, two.id)?.seed).toEqual(two.key.seed)
  })

  test('links: a key and a sub per organisation, unlinkable between them', () => {
    const made = makeLink(makeLink(fresh(), 'a', random).keyring, 'b', random)
    expect(linkKey(made.keyring, 'b')?.publicKey).toEqual(made.key.publicKey)
    expect(linkKey(made.keyring, 'c')).toBeUndefined()
    expect(linkSub(made.keyring, 'a')).toEqual(hmacBytes(made.keyring.linkSecret, utf8('a')))
    expect(linkSub(made.keyring, 'a')).not.toEqual(linkSub(made.keyring, 'b'))
  })
})

describe('sealed keyring', () => {
  const krk = newKrk(random)

  test('opens to what was sealed, version by version', () => {
    let { keyring, bytes, leaf } = sealKeyring({ keyring: fresh(), krk, random })
    let stored = acceptVersion(bytes, undefined)
    expect(stored).toEqual(leaf)
    for (let i = 2; i < 5; i++) {
      const changed = addController(makeLink(keyring, `org-${i}`, random).keyring, 'grant', random).keyring
      ;({ keyring, bytes, leaf } = sealKeyring({ keyring: changed, krk, random }))
      stored = acceptVersion(bytes, stored)
      expect(stored.version).toBe(i)
      expect(openKeyring({ bytes, krk, known: stored })).toEqual(keyring)
    }
  })

  test('home takes only the version that follows', () => {
    const first = sealKeyring({ keyring: fresh(), krk, random })
    const stored = acceptVersion(first.bytes, undefined)
    const mine = sealKeyring({ keyring: first.keyring, krk, random })
    const theirs = sealKeyring({ keyring: makeLink(first.keyring, 'x', random).keyring, krk, random })
    const after = acceptVersion(theirs.bytes, stored)
    for (const bytes of [mine.bytes, first.bytes, theirs.bytes]) {
      expect(() => acceptVersion(bytes, after)).toThrowError(
        expect.objectContaining({ code: 'KEYRING_CONFLICT' }),
      )
    }
    expect(() => acceptVersion(mine.bytes, undefined)).toThrowError(
      expect.objectContaining({ code: 'KEYRING_CONFLICT' }),
    )
  })

  test('a device refuses an older version, and another one of the same number', () => {
    const first = sealKeyring({ keyring: fresh(), krk, random })
    const second = sealKeyring({ keyring: first.keyring, krk, random })
    const other = sealKeyring({ keyring: first.keyring, krk, random })
    for (const { bytes } of [first, other]) {
      expect(() => openKeyring({ bytes, krk, known: second.leaf })).toThrowError(
        expect.objectContaining({ code: 'KEYRING_ROLLED_BACK' }),
      )
    }
    expect(openKeyring({ bytes: second.bytes, krk, known: first.leaf }).version).toBe(2)
  })

  test('property: no altered byte opens, and sections of another version do not fit in', () => {
    const first = sealKeyring({ keyring: fresh(), krk, random })
    const second = sealKeyring({ keyring: first.keyring, krk, random })
    fc.assert(
      fc.property(fc.nat(second.bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const bytes = second.bytes.slice()
        bytes[at] = (bytes[at] ?? 0) ^ mask
        expect(() => openKeyring({ bytes, krk })).toThrow()
      }),
      { numRuns: 300 },
    )
    expect(() => openKeyring({ bytes: second.bytes, krk: newKrk(random) })).toThrowError(
      expect.objectContaining({ code: 'OPEN_FAILED' }),
    )
  })

  test('what is stored shows neither a key nor a link', () => {
    const keyring = makeLink(fresh(), 'north-clinic', random).keyring
    const { bytes } = sealKeyring({ keyring, krk, random })
    const secrets = [
      keyring.linkSecret,
      ...CATEGORIES.flatMap((each) => [keyring.sections[each].key, keyring.sections[each].comp]),
    ]
    const stored = Buffer.from(bytes)
    for (const secret of [...secrets, utf8('north-clinic')])
      expect(stored.includes(Buffer.from(secret))).toBe(false)
    expect(readSealed(bytes)).toMatchObject({ version: 1, krkGeneration: 1 })
  })
})

describe('delegation', () => {
  const krk = newKrk(random)
  const delegate = sealKeyPair(random(32))

  test('a delegate opens the shared sections and no other, until the next epoch', () => {
    const d = random(16)
    const { bytes, keyring } = sealKeyring({ keyring: fresh(), krk, random })
    const shared = openSharedSections(
      shareSections({ keyring, categories: ['medication', 'labs'], d, to: delegate.publicKey, random }),
      delegate,
    )
    expect(shared.keys.map((each) => each.category)).toEqual(['medication', 'labs'])
    expect(equal(shared.d, d)).toBe(true)
    const labs = shared.keys.find((each) => each.category === 'labs')?.key ?? random(32)
    expect(openSection(bytes, 'labs', labs)).toEqual(keyring.sections.labs)
    expect(() => openSection(bytes, 'mental', labs)).toThrowError(
      expect.objectContaining({ code: 'OPEN_FAILED' }),
    )
    const ended = sealKeyring({ keyring: nextEpochs(keyring, ['labs'], { random, nowMs }), krk, random })
    expect(() => openSection(ended.bytes, 'labs', labs)).toThrowError(
      expect.objectContaining({ code: 'OPEN_FAILED' }),
    )
  })

  test('only the delegate herself opens what was shared', () => {
    const bytes = shareSections({
      keyring: fresh(),
      categories: ['labs'],
      d: random(16),
      to: delegate.publicKey,
      random,
    })
    expect(() => openSharedSections(bytes, sealKeyPair(random(32)))).toThrowError(
      expect.objectContaining({ code: 'OPEN_FAILED' }),
    )
  })
})

test('compartment public keys are those of the current seed', () => {
  const keyring = fresh()
  expect(compartmentPublicKey(keyring, 'labs')).toEqual(
    sealKeyPair(currentEpoch(keyring, 'labs').seed).publicKey,
  )
})
