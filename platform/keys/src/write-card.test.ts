import { signForm } from '@salus/core'
import { seededRandom } from '@salus/host'
import { describe, expect, test } from 'vitest'
import { compartmentPublicKey, linkKey, makeLink, newKeyring, nextEpochs } from './keyring.ts'
import { cardEntry, makeWriteCard, openWriteCard, writeCardForm } from './write-card.ts'

const random = seededRandom(5)
const nowMs = 1_790_000_000_000
const untilMs = nowMs + 1_000
const chainId = random(32)
const { keyring, key } = makeLink(newKeyring({ random, nowMs }), 'a', random)
const options = { linkKey: key.publicKey, chainId, org: 'a', nowMs }
const code = (expected: string) => expect.objectContaining({ code: expected })

describe('write card', () => {
  test('carries the newest epoch of each compartment', () => {
    const next = nextEpochs(keyring, ['labs'], { random, nowMs })
    const card = openWriteCard(makeWriteCard({ keyring: next, org: 'a', chainId, untilMs }), options)
    expect(card.entries).toHaveLength(13)
    expect(cardEntry(card, 'labs')).toEqual({
      category: 'labs',
      comp: keyring.sections.labs.comp,
      epoch: 2,
      pk: compartmentPublicKey(next, 'labs'),
    })
    expect(cardEntry(card, 'notes')?.epoch).toBe(1)
    const some = makeWriteCard({ keyring, org: 'a', chainId, untilMs, categories: ['labs'] })
    expect(cardEntry(openWriteCard(some, options), 'notes')).toBeUndefined()
  })

  test('is refused when altered, for another organisation or chain, by another key, or ended', () => {
    const card = makeWriteCard({ keyring, org: 'a', chainId, untilMs })
    const bytes = card.bytes.slice()
    bytes[40] = (bytes[40] ?? 0) ^ 1
    expect(() => openWriteCard({ ...card, bytes }, options)).toThrowError(code('BAD_SIGNATURE'))
    expect(() => openWriteCard(card, { ...options, chainId: random(32) })).toThrowError(code('BAD_SIGNATURE'))
    expect(() => openWriteCard(card, { ...options, linkKey: random(32) })).toThrowError(code('BAD_SIGNATURE'))
    expect(() => openWriteCard(card, { ...options, org: 'b' })).toThrowError(code('CARD_OTHER'))
    expect(() => openWriteCard(card, { ...options, nowMs: untilMs })).toThrowError(code('CARD_ENDED'))
    expect(() => makeWriteCard({ keyring, org: 'b', chainId, untilMs })).toThrowError(code('KEYRING_LINK'))
  })

  test('is refused below a floor, of an unknown suite or version', () => {
    const link = linkKey(keyring, 'a') ?? key
    const entries = openWriteCard(makeWriteCard({ keyring, org: 'a', chainId, untilMs }), options).entries
    const sign = (change: object) =>
      signForm(
        writeCardForm,
        { v: 1, org: 'a', suite: 1, floor: 1, entries, until: untilMs, ...change },
        { key: link, type: 'card', chainId },
      )
    expect(() => openWriteCard(sign({ suite: 2 }), options)).toThrowError(code('CARD_SUITE'))
    expect(() => openWriteCard(sign({ floor: 2 }), options)).toThrowError(code('CARD_SUITE'))
    expect(() => openWriteCard(sign({}), { ...options, writeFloor: 2 })).toThrowError(code('CARD_SUITE'))
    expect(() => openWriteCard(sign({ v: 2 }), options)).toThrowError(code('UNKNOWN_VERSION'))
  })
})
